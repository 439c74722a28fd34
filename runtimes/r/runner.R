# SPDX-License-Identifier: Apache-2.0
#
# Keeps R between cells: R reads this as the user's profile, and it loads runner.so, which then answers R's every wish for a line
# with cells (cell.c). What must be said in R is in an environment of its own: how values are shown (runner-show.R), figures
# (runner-plot.R), completion and help (runner-look.R). The program sees, behind its packages, the functions that display.
local({
  folder <- dirname(Sys.getenv("R_PROFILE_USER"))
  Sys.unsetenv(c("R_PROFILE_USER", "R_ENVIRON_USER"))
  library <- dyn.load(file.path(folder, "runner.so"))

  own <- new.env(parent = baseenv())
  own$entry <- function(name) getNativeSymbolInfo(paste0("retort_", name), library)
  for (part in c("cell", "show", "plot", "look"))
    sys.source(file.path(folder, paste0("runner-", part, ".R")), own, keep.source = FALSE)

  .Call(own$entry("begin"), own$hooks, paste(R.version$major, R.version$minor, sep = "."))
  sys.source(file.path(folder, "profile.R"), baseenv(), keep.source = FALSE) # descriptor 3 is elsewhere by now: no report
  own$begin()
})
