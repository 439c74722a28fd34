# SPDX-License-Identifier: Apache-2.0
# A data frame: read, grouped, modelled. retort run examples/frame.R < examples/input/sales.csv

read_sales <- function(source) {
  sales <- read.csv(source, stringsAsFactors = TRUE)
  sales$revenue <- with(sales, units * price)
  sales
}

# Sums by one column, the largest revenue first, with each group's share.
by_column <- function(sales, column) {
  table <- aggregate(sales[c("units", "revenue")], by = sales[column], FUN = sum)
  table$share <- round(table$revenue / sum(table$revenue), 3)
  table[order(-table$revenue), ]
}

input <- file("stdin")
sales <- read_sales(input)

cat(nrow(sales), "rows,", nlevels(sales$region), "regions\n")
print(by_column(sales, "region"), row.names = FALSE)
print(by_column(sales, "product"), row.names = FALSE)

# A value at top level is printed, as in Rscript.
xtabs(units ~ region + product, data = sales)

model <- lm(units ~ price, data = sales)
round(coef(model), 2)

spread <- vapply(split(sales$price, sales$product), sd, numeric(1))
for (product in names(spread))
  cat(sprintf("%-6s price varies by %.3f\n", product, spread[[product]]))

stopifnot(abs(sum(by_column(sales, "region")$share) - 1) < 0.01)
cat("arguments:", length(commandArgs(TRUE)), "\n")
