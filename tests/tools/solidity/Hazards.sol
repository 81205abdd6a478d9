// SPDX-License-Identifier: MIT
pragma solidity 0.8.26;

import "Token.sol";

/// Takes a part of every transfer, and tells the truth about it: what arrives, and what is taken.
contract Taxed is Token {
    uint256 public tax; // basis points
    address constant COLLECTOR = address(0xfee);

    constructor(string memory name_, uint8 decimals_) Token(name_, decimals_) {}

    function setTax(uint256 tax_) external {
        tax = tax_;
    }

    function move(address from, address to, uint256 value) internal override {
        uint256 taken = (value * tax) / 10_000;
        super.move(from, to, value - taken);
        if (taken > 0) super.move(from, COLLECTOR, taken);
    }
}

/// Takes one percent of every transfer, and its Transfer says that all of it arrived.
contract Understated is Token {
    constructor(string memory name_, uint8 decimals_) Token(name_, decimals_) {}

    function move(address from, address to, uint256 value) internal override {
        super.move(from, to, value);
        held[to] -= value / 100;
    }
}

/// Balances are shares of a supply that changes: no Transfer tells of it.
contract Rebasing is Token {
    uint256 public perShare = 1e18;

    constructor(string memory name_, uint8 decimals_) Token(name_, decimals_) {}

    function rebase(uint256 perShare_) external {
        perShare = perShare_;
    }

    function balanceOf(address who) external view override returns (uint256) {
        return (held[who] * perShare) / 1e18;
    }

    function mint(address to, uint256 value) external override {
        held[to] += (value * 1e18 + perShare - 1) / perShare;
        emit Transfer(address(0), to, value);
    }

    function move(address from, address to, uint256 value) internal override {
        uint256 shares = (value * 1e18 + perShare - 1) / perShare;
        require(held[from] >= shares, "Rebasing: balance");
        held[from] -= shares;
        held[to] += shares;
        emit Transfer(from, to, value);
    }
}

/// May be stopped; and where guarded, only friends may send it.
contract Gated is Token {
    bool public stopped;
    mapping(address => bool) public guarded; // nobody but friends may send to these
    mapping(address => bool) public friend;

    constructor(string memory name_, uint8 decimals_) Token(name_, decimals_) {}

    function stop(bool stopped_) external {
        stopped = stopped_;
    }

    function guard(address pool, address friend_) external {
        guarded[pool] = true;
        friend[friend_] = true;
    }

    function move(address from, address to, uint256 value) internal override {
        require(!stopped, "Gated: stopped");
        require(!guarded[to] || friend[from], "Gated: no friend");
        super.move(from, to, value);
    }
}
