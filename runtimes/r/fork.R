# SPDX-License-Identifier: Apache-2.0
#
# What warm.R and runner.R need of an R that is frozen and forked: the wait for a program, and what is the program's then.

# What R has put into the environment since it was started, and what start.sh had before.
own <- local({
  started <- readBin("/proc/self/environ", "character", 65536)
  now <- Sys.getenv(names = TRUE)
  from_start <- c("R_HOME", "R_SHARE_DIR", "R_INCLUDE_DIR", "R_DOC_DIR", "LD_LIBRARY_PATH", "PWD")
  now[!names(now) %in% sub("=.*", "", started) | names(now) %in% from_start]
})

set <- function(names, values) if (length(names)) do.call(Sys.setenv, structure(as.list(values), names = names))

# The environment is the request's, and what R would have added to it. rehearsed: the session's folder is not made.
set_environment <- function(given, rehearsed = FALSE) {
  ends <- regexpr("=", given, fixed = TRUE)
  names <- substr(given, 1, ends - 1)
  Sys.unsetenv(setdiff(names(Sys.getenv()), names))
  set(names, substring(given, ends + 1))
  library_path <- Sys.getenv("LD_LIBRARY_PATH")
  own["PWD"] <- getwd()
  if (nzchar(library_path)) own["LD_LIBRARY_PATH"] <- paste0(own["LD_LIBRARY_PATH"], ":", library_path)
  if (!rehearsed) own["R_SESSION_TMPDIR"] <- tempdir(check = TRUE)
  left <- !names(own) %in% names | names(own) %in% c("PWD", "LD_LIBRARY_PATH")
  set(names(own)[left], own[left])
}

supervisor <- ""

# Returns in a child that has a program: its arguments. Before it has one, it does what `meanwhile` does.
await <- function(park, go, meanwhile = function() NULL) {
  force(go) # the environment is another's behind the park
  unlink(tempdir(), recursive = TRUE) # the session's own folder is made by each child for itself
  gc(full = TRUE)
  close(file(park, "rb", raw = TRUE))
  meanwhile()
  from <- file(go, "rb", raw = TRUE)
  strings <- readBin(from, "character", 4096)
  while (length(more <- readBin(from, "character", 65536))) strings <- c(strings, more)
  close(from)
  count <- as.integer(strings[1])
  supervisor <<- Sys.getenv("RETORT_SUPERVISOR") # of the C library: not there any more if the fork has been divided already
  set_environment(strings[-seq_len(count + 1)])
  if (exists(".Random.seed", globalenv(), inherits = FALSE)) rm(".Random.seed", envir = globalenv())
  strings[1 + seq_len(count)]
}

set_args <- function(args) {
  replacement <- commandArgs
  body(replacement)[[2]][[3]] <- args
  environment(replacement) <- baseenv()
  unlockBinding("commandArgs", baseenv())
  assign("commandArgs", replacement, baseenv())
  lockBinding("commandArgs", baseenv())
}

# What R would compile when it is called for the second time.
compile_all <- function(...) {
  for (space in list(...)) for (name in names(space)) if (is.function(space[[name]])) space[[name]] <- compiler::cmpfun(space[[name]])
}

# In a fork that has no program yet: what its start will write to is written to.
rehearse <- function() {
  now <- Sys.getenv()
  set_environment(paste0(names(now), "=", now), TRUE)
  .First.sys()
}
