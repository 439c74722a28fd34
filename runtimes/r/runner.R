# SPDX-License-Identifier: Apache-2.0
#
# Keeps R between cells: R reads this as the user's profile, and it loads runner.so, which then answers R's every wish for a line
# with cells (cell.c). What must be said in R is in an environment of its own: how values are shown (runner-show.R), figures
# (runner-plot.R), completion and help (runner-look.R). The program sees, behind its packages, the functions that display.
#
# With RETORT_PARK in the environment this is an R that is to be frozen: runner-warm.R. It waits where R asks for that first line, when
# all that R does at its start is done.
local({
  folder <- dirname(Sys.getenv("R_PROFILE_USER"))
  library <- dyn.load(file.path(folder, "runner.so"))

  own <- new.env(parent = baseenv())
  own$entry <- function(name) getNativeSymbolInfo(paste0("retort_", name), library)
  for (part in c("cell", "show", "plot", "look"))
    sys.source(file.path(folder, paste0("runner-", part, ".R")), own, keep.source = FALSE)
  profile <- parse(file.path(folder, "profile.R"), keep.source = FALSE)
  own$prepare()

  await <- NULL
  if (nzchar(Sys.getenv("RETORT_PARK"))) {
    warm <- new.env(parent = own)
    sys.source(file.path(folder, "runner-warm.R"), warm, keep.source = FALSE)
    await <- warm$prepare(folder)
  }
  start <- function() {
    supervisor <- if (is.null(await)) "" else await()
    Sys.unsetenv(c("R_PROFILE_USER", "R_ENVIRON_USER", "RETORT_SUPERVISOR"))
    .Call(own$entry("begin"), supervisor)
    for (expression in profile) eval(expression, globalenv()) # descriptor 3 is elsewhere by now: nothing is reported there
    own$listen()
  }
  .Call(own$entry("prepare"), own$hooks, paste(R.version$major, R.version$minor, sep = "."), start)
})
