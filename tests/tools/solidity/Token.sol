// SPDX-License-Identifier: MIT
pragma solidity 0.8.26;

/// An ERC-20 token that anyone may mint.
contract Token {
    string public name;
    uint8 public decimals;
    uint256 public totalSupply;
    mapping(address => mapping(address => uint256)) public allowance;
    mapping(address => uint256) internal held;

    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);

    constructor(string memory name_, uint8 decimals_) {
        name = name_;
        decimals = decimals_;
    }

    function balanceOf(address who) external view virtual returns (uint256) {
        return held[who];
    }

    function mint(address to, uint256 value) external virtual {
        totalSupply += value;
        held[to] += value;
        emit Transfer(address(0), to, value);
    }

    function approve(address spender, uint256 value) external returns (bool) {
        allowance[msg.sender][spender] = value;
        emit Approval(msg.sender, spender, value);
        return true;
    }

    function transfer(address to, uint256 value) external returns (bool) {
        move(msg.sender, to, value);
        return true;
    }

    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        allowance[from][msg.sender] -= value;
        move(from, to, value);
        return true;
    }

    function move(address from, address to, uint256 value) internal virtual {
        require(held[from] >= value, "Token: balance");
        held[from] -= value;
        held[to] += value;
        emit Transfer(from, to, value);
    }
}
