// SPDX-License-Identifier: MIT
pragma solidity 0.8.26;

import "Driver.sol";

interface ISwaps {
    function swap(address recipient, bool zeroForOne, int256 amount, uint160 limit, bytes calldata hint)
        external
        returns (int256, int256);
}

/// Swaps on a pool and pays what it asks for, and does nothing else: what amm_peers.py measures in an EVM.
contract Swapper is Driver {
    function swap(ISwaps pool, bool zeroForOne, int256 amount, uint160 limit) external returns (int256, int256) {
        return pool.swap(address(this), zeroForOne, amount, limit, "");
    }
}
