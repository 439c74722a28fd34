# SPDX-License-Identifier: Apache-2.0
#
# Keeps an R that can be forked: R_PROFILE_USER=warm.R sh start.sh R $RETORT_MAIN. R reads this as the user's profile,
# when it has opened the program's file and before it reads from it. Here the packages that R attaches, and what programs
# do with them, are made warm, and what profile.R does that is the same in every process is done; then the process is parked (opening
# RETORT_PARK returns in a forked child only). In the child, RETORT_GO tells which program it is, and makes RETORT_MAIN that program's
# file; then comes the rest of profile.R, and R itself goes on to read the program.
local({
  folder <- dirname(Sys.getenv("R_PROFILE_USER"))
  park <- Sys.getenv("RETORT_PARK")
  go <- Sys.getenv("RETORT_GO")
  profile <- parse(file.path(folder, "profile.R"), keep.source = FALSE)

  fork <- new.env(parent = baseenv())
  sys.source(file.path(folder, "fork.R"), fork, keep.source = FALSE)

  .First.sys() # attaches the default packages, as R will want to do

  utils::capture.output({
    frame <- data.frame(a = 1:4, b = c("x", "y", "x", "y"), stringsAsFactors = TRUE)
    print(frame)
    print(summary(frame))
    print(utils::str(frame))
    print(tapply(frame$a, frame$b, sum))
    print(stats::aggregate(a ~ b, frame, mean))
    print(summary(stats::lm(a ~ b, frame)))
    print(list(1, "a", c(x = 1)))
    print(matrix(1:4, 2) %*% matrix(1:4, 2))
    print(utils::head(datasets::iris, 2))
    cat(paste0("a", 1:2), sprintf("%5.2f %s", 1, "a"), format(Sys.time(), "%Y"), "\n")
    print(sapply(split(frame$a, frame$b), stats::sd))
    print(strsplit("a-b", "-"))
    print(gsub("a", "b", "aaa"), quote = FALSE)
    print(regmatches("a1", regexpr("[0-9]", "a1")))
    print(do.call(rbind, lapply(1:2, function(i) data.frame(i = i))))
    print(tryCatch(stop("x"), error = conditionMessage))
    print(Reduce(`+`, 1:3, accumulate = TRUE))
    print(order(c(3, 1, 2)))
    print(stats::median(c(1, 2, 3)))
    print(y ~ x)
    print(factor("a"))
    print(merge(frame, frame)[1, ])
  })
  utils::read.csv(text = "a,b\n1,2")

  for (expression in profile[-c(1, length(profile))]) eval(expression, globalenv())
  late <- lapply(profile[c(1, length(profile))], compiler::compile, globalenv())
  fork$compile_all(fork)

  args <- fork$await(park, go, fork$rehearse) # here the server stands; what returns is a child

  # commandArgs() asks R's own copy, which nothing in R can change.
  old <- commandArgs()
  first <- old[seq_len(match("--args", old))]
  first[startsWith(first, "--file=")] <- paste0("--file=", args[1])
  fork$set_args(c(first, args[-1]))

  eval(late[[1]], globalenv())
  eval(late[[2]], globalenv())
})
