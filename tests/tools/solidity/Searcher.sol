// SPDX-License-Identifier: MIT
pragma solidity 0.8.26;

interface IToken {
    function balanceOf(address who) external view returns (uint256);
    function transfer(address to, uint256 value) external returns (bool);
    function mint(address to, uint256 value) external;
}

interface IPair {
    function token0() external view returns (address);
    function token1() external view returns (address);
    function getReserves() external view returns (uint112, uint112, uint32);
    function swap(uint256 out0, uint256 out1, address to, bytes calldata extra) external;
}

interface IPool {
    function swap(address to, bool zeroForOne, int256 amount, uint160 limit, bytes calldata extra)
        external
        returns (int256, int256);
}

/// Swaps exact input along a path of V2 and V3 pools, in one transaction.
contract Searcher {
    struct Step {
        address pool;
        bool v3;
        bool zeroForOne;
        uint24 fee; // of a V2 pair, in millionths: what its output is counted with
    }

    struct Result {
        int256 profit; // by balances, of the first step's input token
        uint256[] outs; // what each step was said to pay; where `measured`, what arrived
        uint256[] used; // what each step took of its input
        uint256[] gasUsed;
    }

    error Outcome(int256 profit);
    error Quoted(int256 amount0, int256 amount1);

    bool quoting;

    /// `measured` counts on what arrives, else on what the formula and the pools say. `minted` makes the input out of nothing.
    function run(Step[] calldata steps, uint256 amount, bool measured, bool minted)
        external
        returns (Result memory result)
    {
        IToken start = IToken(tokenIn(steps[0]));
        if (minted) start.mint(address(this), amount);
        uint256 before = start.balanceOf(address(this));
        (result.outs, result.used, result.gasUsed) =
            (new uint256[](steps.length), new uint256[](steps.length), new uint256[](steps.length));
        for (uint256 i = 0; i < steps.length; i++) {
            uint256 left = gasleft();
            (result.used[i], amount) = hop(steps[i], amount, measured);
            result.outs[i] = amount;
            result.gasUsed[i] = left - gasleft();
        }
        result.profit = int256(start.balanceOf(address(this))) - int256(before);
    }

    /// The profit of each amount, and the least integer where it reverts; changes nothing.
    function tryAmounts(Step[] calldata steps, uint256[] calldata amounts) external returns (int256[] memory profits) {
        profits = new int256[](amounts.length);
        for (uint256 i = 0; i < amounts.length; i++) {
            profits[i] = type(int256).min;
            try this.attempt(steps, amounts[i]) {}
            catch (bytes memory why) {
                if (bytes4(why) == Outcome.selector) profits[i] = payload(why);
            }
        }
    }

    function attempt(Step[] calldata steps, uint256 amount) external {
        revert Outcome(this.run(steps, amount, false, true).profit);
    }

    /// What each amount would gain by reserves and ticks alone: no token moves.
    function expect(Step[] calldata steps, uint256[] calldata amounts) external returns (int256[] memory profits) {
        profits = new int256[](amounts.length);
        quoting = true;
        for (uint256 i = 0; i < amounts.length; i++) {
            uint256 amount = amounts[i];
            uint256 spent = amount;
            for (uint256 k = 0; k < steps.length; k++) {
                if (steps[k].v3) {
                    uint256 used;
                    (used, amount) = quoted(steps[k], amount);
                    if (k == 0) spent = used;
                } else {
                    (uint256 reserveIn, uint256 reserveOut) = reserves(steps[k]);
                    amount = outputOf(amount, reserveIn, reserveOut, steps[k].fee);
                }
            }
            profits[i] = int256(amount) - int256(spent);
        }
        quoting = false;
    }

    /// Makes calls of any kind with what this contract holds; all must succeed.
    function perform(address[] calldata targets, bytes[] calldata calls) external {
        for (uint256 i = 0; i < calls.length; i++) {
            (bool ok, bytes memory why) = targets[i].call(calls[i]);
            if (!ok) {
                assembly {
                    revert(add(why, 32), mload(why))
                }
            }
        }
    }

    function hop(Step calldata step, uint256 amount, bool measured) internal returns (uint256 used, uint256 out) {
        (IToken paid, IToken got) = (IToken(tokenIn(step)), IToken(tokenOut(step)));
        uint256 before = got.balanceOf(address(this));
        if (step.v3) {
            (used, out) = through(step, amount);
        } else {
            (uint256 reserveIn, uint256 reserveOut) = reserves(step);
            uint256 held = paid.balanceOf(step.pool);
            paid.transfer(step.pool, amount);
            used = amount;
            uint256 arrived = measured ? paid.balanceOf(step.pool) - held : amount;
            out = outputOf(arrived, reserveIn, reserveOut, step.fee);
            IPair(step.pool).swap(step.zeroForOne ? 0 : out, step.zeroForOne ? out : 0, address(this), "");
        }
        if (measured) out = got.balanceOf(address(this)) - before;
    }

    function through(Step calldata step, uint256 amount) internal returns (uint256, uint256) {
        (int256 amount0, int256 amount1) =
            IPool(step.pool).swap(address(this), step.zeroForOne, int256(amount), limitOf(step), abi.encode(tokenIn(step)));
        return step.zeroForOne ? (uint256(amount0), uint256(-amount1)) : (uint256(amount1), uint256(-amount0));
    }

    function quoted(Step calldata step, uint256 amount) internal returns (uint256, uint256) {
        if (amount == 0) return (0, 0);
        try IPool(step.pool).swap(address(this), step.zeroForOne, int256(amount), limitOf(step), "") {
            return (0, 0);
        } catch (bytes memory why) {
            if (bytes4(why) != Quoted.selector) return (0, 0);
            int256 amount0 = payload(why);
            int256 amount1;
            assembly {
                amount1 := mload(add(why, 68))
            }
            return step.zeroForOne ? (uint256(amount0), uint256(-amount1)) : (uint256(amount1), uint256(-amount0));
        }
    }

    function uniswapV3SwapCallback(int256 amount0, int256 amount1, bytes calldata extra) external {
        if (quoting) revert Quoted(amount0, amount1);
        uint256 owed = uint256(amount0 > 0 ? amount0 : amount1);
        IToken(abi.decode(extra, (address))).transfer(msg.sender, owed);
    }

    function outputOf(uint256 amount, uint256 reserveIn, uint256 reserveOut, uint256 fee) internal pure returns (uint256) {
        uint256 kept = amount * (1_000_000 - fee);
        return (kept * reserveOut) / (reserveIn * 1_000_000 + kept);
    }

    function reserves(Step calldata step) internal view returns (uint256, uint256) {
        (uint112 reserve0, uint112 reserve1,) = IPair(step.pool).getReserves();
        return step.zeroForOne ? (reserve0, reserve1) : (reserve1, reserve0);
    }

    function tokenIn(Step calldata step) internal view returns (address) {
        return step.zeroForOne ? IPair(step.pool).token0() : IPair(step.pool).token1();
    }

    function tokenOut(Step calldata step) internal view returns (address) {
        return step.zeroForOne ? IPair(step.pool).token1() : IPair(step.pool).token0();
    }

    function limitOf(Step calldata step) internal pure returns (uint160) {
        return step.zeroForOne ? 4295128740 : 1461446703485210103287273052203988822378723970341;
    }

    function payload(bytes memory why) internal pure returns (int256 value) {
        assembly {
            value := mload(add(why, 36))
        }
    }
}
