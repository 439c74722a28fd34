# SPDX-License-Identifier: Apache-2.0
"""A data frame computed with pandas: retort run examples/frame.py < examples/input/sales.csv"""

import sys

import numpy as np
import pandas as pd


def read(source) -> pd.DataFrame:
    frame = pd.read_csv(source)
    frame["revenue"] = frame["units"] * frame["price"]
    return frame


def by(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    groups = frame.groupby(column)
    table = groups.agg(units=("units", "sum"), revenue=("revenue", "sum"))
    table["share"] = table["revenue"] / table["revenue"].sum()
    return table.sort_values("revenue", ascending=False).round(3)


def main() -> None:
    frame = read(sys.stdin)
    print(f"{len(frame)} rows, {frame['region'].nunique()} regions")
    print(by(frame, "region").to_string())
    print(by(frame, "product").to_string())
    pivot = frame.pivot_table(index="region", columns="product", values="units", aggfunc="sum", fill_value=0)
    print(pivot.to_string())
    slope, start = np.polyfit(frame["price"], frame["units"], 1)
    print(f"units = {start:.2f} {slope:+.2f} * price")


if __name__ == "__main__":
    main()
