# SPDX-License-Identifier: Apache-2.0
#
# Makes an R warm that contexts are forked from: what cells do most is done once, and forgotten.

rehearse <- function() {
  begin_pages("png")
  graphics::plot(1:10, main = "a")
  graphics::lines(1:10)
  graphics::hist(c(1, 2, 2))
  take_pages(TRUE)
  pages$snapshot <- NULL
  frame <- data.frame(a = 1:4, b = c("x", "y", "x", "y"), stringsAsFactors = TRUE)
  utils::capture.output({
    print(frame)
    print(summary(frame))
    print(utils::str(frame))
    print(stats::aggregate(a ~ b, frame, mean))
    print(summary(stats::lm(a ~ b, frame)))
    print(list(1, "a", c(x = 1)))
    print(utils::head(datasets::iris, 2))
  })
  for (value in list(frame, matrix(1:4, 2), factor("a"), list(a = 1), function(x) x)) rich_of(value)
  table_of(frame)
  source_of("f(1)", "cell 1")
  explain_parse("f(", "cell 1")
  traceback_of("Error", line_of(quote(f(1))))
  complete("pri", 3, 0)
  inspect("mean", 2, 0)
  utils::read.csv(text = "a,b\n1,2")
}

# Packages that are loaded ahead, where they are installed.
preload <- function(names) {
  for (name in names) if (requireNamespace(name, quietly = TRUE) && name == "ggplot2") {
    begin_pages("png")
    print(ggplot2::ggplot(data.frame(x = 1:2, y = 1:2), ggplot2::aes(x, y)) + ggplot2::geom_point())
    take_pages(TRUE)
    pages$snapshot <- NULL
  }
}

# In a fork, before there is anybody to serve: what cells write to is written to.
rehearse_once_more <- function() {
  source_of("f(1)", "cell 1")
  begin_pages("png")
  Sys.setenv(TZ = "")
  Sys.unsetenv("TZ")
}

# A function that makes R warm and returns in a fork that is a context's: the program that is to be the box's first process.
prepare <- function(folder) {
  fork <- new.env(parent = baseenv())
  sys.source(file.path(folder, "fork.R"), fork, keep.source = FALSE)
  function() {
    preload(commandArgs(trailingOnly = TRUE))
    fork$compile_all(parent.env(environment(rehearse)), fork)
    rehearse()
    args <- commandArgs()
    fork$set_args(args[seq_len(match("--args", args, nomatch = length(args) + 1) - 1)])
    fork$await(Sys.getenv("RETORT_PARK"), Sys.getenv("RETORT_GO"), rehearse_once_more)
    fork$supervisor
  }
}
