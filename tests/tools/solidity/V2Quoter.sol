// SPDX-License-Identifier: MIT
pragma solidity 0.6.6;

import "@uniswap/v2-periphery/contracts/libraries/UniswapV2Library.sol";

/// UniswapV2Library's arithmetic, callable from outside.
contract V2Quoter {
    function getAmountOut(uint256 amountIn, uint256 reserveIn, uint256 reserveOut) external pure returns (uint256) {
        return UniswapV2Library.getAmountOut(amountIn, reserveIn, reserveOut);
    }

    function getAmountIn(uint256 amountOut, uint256 reserveIn, uint256 reserveOut) external pure returns (uint256) {
        return UniswapV2Library.getAmountIn(amountOut, reserveIn, reserveOut);
    }
}
