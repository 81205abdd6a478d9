// SPDX-License-Identifier: MIT
pragma solidity 0.8.26;

interface IERC20 {
    function transfer(address to, uint256 value) external returns (bool);
}

interface IPool {
    function token0() external view returns (address);
    function token1() external view returns (address);
    function slot0() external view returns (uint160, int24, uint16, uint16, uint16, uint8, bool);
    function liquidity() external view returns (uint128);
    function feeGrowthGlobal0X128() external view returns (uint256);
    function feeGrowthGlobal1X128() external view returns (uint256);
    function protocolFees() external view returns (uint128, uint128);
}

/// Calls V3 pools one after another, pays what they ask for, and returns what each call did to its pool.
contract Driver {
    struct Outcome {
        bool ok;
        bytes answer; // what the call returned, or why it reverted
        int256[11] state; // after it, in the order of truth_blocks.jsonl; growths are two's complement
    }

    function run(address[] calldata targets, bytes[] calldata calls) external returns (Outcome[] memory outcomes) {
        outcomes = new Outcome[](calls.length);
        for (uint256 i = 0; i < calls.length; i++) {
            (outcomes[i].ok, outcomes[i].answer) = targets[i].call(calls[i]);
            if (targets[i].code.length > 0) outcomes[i].state = stateOf(IPool(targets[i]));
        }
    }

    function stateOf(IPool pool) public view returns (int256[11] memory s) {
        {
            (uint160 price, int24 tick, uint16 index, uint16 cardinality, uint16 next, uint8 feeProtocol,) = pool.slot0();
            s[0] = int256(uint256(price));
            s[1] = tick;
            s[7] = int256(uint256(index));
            s[8] = int256(uint256(cardinality));
            s[9] = int256(uint256(next));
            s[10] = int256(uint256(feeProtocol));
        }
        s[2] = int256(uint256(pool.liquidity()));
        s[3] = int256(pool.feeGrowthGlobal0X128());
        s[4] = int256(pool.feeGrowthGlobal1X128());
        (uint128 fees0, uint128 fees1) = pool.protocolFees();
        s[5] = int256(uint256(fees0));
        s[6] = int256(uint256(fees1));
    }

    function uniswapV3SwapCallback(int256 amount0, int256 amount1, bytes calldata) external {
        if (amount0 > 0) pay(IPool(msg.sender).token0(), uint256(amount0));
        if (amount1 > 0) pay(IPool(msg.sender).token1(), uint256(amount1));
    }

    function uniswapV3MintCallback(uint256 amount0, uint256 amount1, bytes calldata) external {
        if (amount0 > 0) pay(IPool(msg.sender).token0(), amount0);
        if (amount1 > 0) pay(IPool(msg.sender).token1(), amount1);
    }

    /// `repaid` holds the two amounts that go back to the pool, loans included.
    function uniswapV3FlashCallback(uint256, uint256, bytes calldata repaid) external {
        (uint256 amount0, uint256 amount1) = abi.decode(repaid, (uint256, uint256));
        if (amount0 > 0) pay(IPool(msg.sender).token0(), amount0);
        if (amount1 > 0) pay(IPool(msg.sender).token1(), amount1);
    }

    function pay(address token, uint256 value) internal {
        IERC20(token).transfer(msg.sender, value);
    }
}
