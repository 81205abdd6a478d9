// SPDX-License-Identifier: MIT
pragma solidity 0.8.26;

/// Emits any log: of pools that it is not, and of pairs that it never made.
contract Emitter {
    function emitLog(bytes32[] calldata topics, bytes memory body) external {
        bytes32 t0 = topics[0];
        bytes32 t1 = topics.length > 1 ? topics[1] : bytes32(0);
        bytes32 t2 = topics.length > 2 ? topics[2] : bytes32(0);
        bytes32 t3 = topics.length > 3 ? topics[3] : bytes32(0);
        uint256 count = topics.length;
        assembly {
            let start := add(body, 32)
            let size := mload(body)
            switch count
            case 1 { log1(start, size, t0) }
            case 2 { log2(start, size, t0, t1) }
            case 3 { log3(start, size, t0, t1, t2) }
            default { log4(start, size, t0, t1, t2, t3) }
        }
    }
}

/// Looks like a V2 pair: keeps what it is paid and pays nothing, but its logs say that it did.
contract FakePair {
    address public immutable token0;
    address public immutable token1;
    uint112 reserve0;
    uint112 reserve1;

    event Sync(uint112 reserve0, uint112 reserve1);
    event Swap(
        address indexed sender,
        uint256 amount0In,
        uint256 amount1In,
        uint256 amount0Out,
        uint256 amount1Out,
        address indexed to
    );

    constructor(address token0_, address token1_) {
        token0 = token0_;
        token1 = token1_;
    }

    function getReserves() external view returns (uint112, uint112, uint32) {
        return (reserve0, reserve1, 0);
    }

    function setReserves(uint112 reserve0_, uint112 reserve1_) external {
        (reserve0, reserve1) = (reserve0_, reserve1_);
        emit Sync(reserve0, reserve1);
    }

    function swap(uint256 out0, uint256 out1, address to, bytes calldata) external {
        report(out1 * 2, out0 * 2, out0, out1, to);
    }

    function report(uint256 in0, uint256 in1, uint256 out0, uint256 out1, address to) public {
        reserve0 = uint112(reserve0 + in0 - out0);
        reserve1 = uint112(reserve1 + in1 - out1);
        emit Sync(reserve0, reserve1);
        emit Swap(msg.sender, in0, in1, out0, out1, to);
    }
}

/// Announces what it is told to announce.
contract FakeFactory is Emitter {}
