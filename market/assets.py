"""The three asset classes and what differs between them."""

from __future__ import annotations

from typing import Literal, get_args

AssetType = Literal["stocks", "etf", "crypto"]

ASSET_TYPES: tuple[AssetType, ...] = get_args(AssetType)

CLEAN_TABLES: dict[AssetType, str] = {
    "stocks": "crypto_trading_data.stocks_daily_clean",
    "etf": "crypto_trading_data.etfs_daily_clean",
    "crypto": "crypto_trading_data.crypto_daily_clean",
}
"""Newest daily bars with their indicators, one table per asset class (the contract's names)."""
