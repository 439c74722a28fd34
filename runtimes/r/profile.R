# SPDX-License-Identifier: Apache-2.0
#
# Tells Retort what ended an R program. R reads this as the user's profile, before the program; it leaves one calling
# handler for errors behind, which is reached only by an error that no tryCatch() or try() of the program takes, and
# writes {"name", "value", "traceback"} to descriptor 3. R prints what it always prints.
#
# The first and the last expression are each process's own; what stands between them a frozen R has done once for all (warm.R).

Sys.unsetenv("R_PROFILE_USER") # the program's own children have nothing to report

# A box has neither timedatectl's daemon, which R asks for the time zone, nor /proc/cpuinfo, where it counts processors.
local({
  zone <- if (file.exists("/etc/timezone")) readLines("/etc/timezone", 1, warn = FALSE) else
    if (!file.exists("/etc/localtime")) "UTC"
  if (length(zone) == 1 && nzchar(zone)) {
    unlockBinding(".sys.timezone", baseenv())
    assign(".sys.timezone", zone, baseenv())
    lockBinding(".sys.timezone", baseenv())
  }
})
setHook(packageEvent("parallel", "onLoad"), function(...) {
  space <- asNamespace("parallel")
  own <- space$detectCores
  counted <- function(all.tests = FALSE, logical = TRUE) {
    n <- own(all.tests, logical)
    if (is.na(n)) as.integer(system2("nproc", stdout = TRUE)) else n
  }
  unlockBinding("detectCores", space)
  assign("detectCores", counted, space)
  lockBinding("detectCores", space)
})

if (grepl("^(pipe|socket):", Sys.readlink("/proc/self/fd/3"))) globalCallingHandlers(error = local({
  value_max <- 16 * 1024 # characters: a report is at most 256 KiB, and JSON may write one as six bytes
  calls_max <- 100
  owner <- Sys.getpid()

  quoted <- function(text) {
    text <- iconv(enc2utf8(text), "UTF-8", "UTF-8", sub = "byte")
    if (nchar(text) > value_max)
      text <- paste0(substr(text, 1, value_max / 2), "\n[...]\n",
                     substr(text, nchar(text) - value_max / 2, nchar(text)))
    text <- gsub("\\", "\\\\", text, fixed = TRUE)
    text <- gsub("\"", "\\\"", text, fixed = TRUE)
    for (code in c(1:31, 127)) {
      char <- intToUtf8(code)
      if (grepl(char, text, fixed = TRUE)) text <- gsub(char, sprintf("\\u%04x", code), text, fixed = TRUE)
    }
    paste0("\"", text, "\"")
  }

  # As traceback() shows them: the innermost first. The last calls are R's way to this handler.
  traceback_of <- function(calls) {
    last <- length(calls)
    own <- vapply(calls, function(call) is.name(call[[1]]) && as.character(call[[1]]) %in%
                  c(".handleSimpleError", "h"), NA)
    if (any(own)) last <- which(own)[1] - 1
    calls <- calls[seq_len(last)]
    lines <- vapply(calls, function(call) deparse(call, nlines = 1L)[1], "")
    lines <- sprintf("%d: %s", seq_along(lines), substr(lines, 1, 160))
    if (length(lines) > calls_max) lines <- c(lines[1:(calls_max / 2)], "...", utils::tail(lines, calls_max / 2))
    paste(rev(lines), collapse = "\n")
  }

  # Opening the pipe anew is free, but the guest may not own it; a shell inherits it.
  send <- function(text) {
    out <- suppressWarnings(tryCatch(file("/proc/self/fd/3", "wb", raw = TRUE), error = function(e) pipe("cat >&3", "wb")))
    on.exit(close(out))
    writeBin(charToRaw(text), out)
  }

  function(e) {
    calls <- sys.calls()
    calls <- calls[-length(calls)]
    # signalCondition() only asks around: when nobody answers, the program goes on.
    asked <- length(calls) && identical(calls[[length(calls)]][[1]], quote(signalCondition))
    if (!asked && Sys.getpid() == owner)
      try(send(paste0("{\"name\": ", quoted(class(e)[1]), ", \"value\": ", quoted(conditionMessage(e)),
                      ", \"traceback\": ", quoted(traceback_of(calls)), "}")), silent = TRUE)
  }
}))
