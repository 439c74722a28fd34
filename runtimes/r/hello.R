# SPDX-License-Identifier: Apache-2.0
cat("hello from R\n")
