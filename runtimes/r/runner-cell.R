# SPDX-License-Identifier: Apache-2.0
#
# What cell.c leaves to R: parsing, what an uncaught error was, and where R itself would end, or read from descriptor 0.

report <- entry("report")
leave <- entry("quit")
item <- entry("item")
printed <- entry("print")
release <- entry("release")
plotted <- entry("plotted")
from_engine <- entry("stdin")
shell <- entry("shell")

# ---- parsing ----

# As at the prompt, functions keep their source. NULL: the program does not want that.
source_of <- function(code, name)
  if (isTRUE(getOption("keep.source"))) srcfilecopy(name, strsplit(code, "\n", fixed = TRUE)[[1]])

explain_parse <- function(code, name)
  tryCatch({
    parse(text = code, keep.source = TRUE, srcfile = srcfilecopy(name, strsplit(code, "\n", fixed = TRUE)[[1]]))
    "it is no program"
  }, error = function(e) sub("^<text>", name, conditionMessage(e)))

# ---- errors ----

calls_max <- 100

line_of <- function(call) {
  if (identical(call[[1]], base::print)) call[[1]] <- quote(print) # R's own call, for a value
  text <- substr(deparse(call, nlines = 1L)[1], 1, 160)
  place <- attr(call, "srcref")
  file <- if (!is.null(place)) attr(place, "srcfile")$filename
  if (is.null(file)) text else paste0(text, " at ", file, "#", place[1])
}

# As traceback() shows them: the innermost first, behind what R would have said.
traceback_of <- function(headline, lines) {
  lines <- sprintf("%d: %s", seq_along(lines), lines)
  if (length(lines) > calls_max) lines <- c(lines[1:(calls_max / 2)], "...", utils::tail(lines, calls_max / 2))
  paste(c(headline, rev(lines)), collapse = "\n")
}

own <- environment()

# The program's: neither ours nor this handler's.
calls_now <- function() {
  calls <- sys.calls()
  ours <- vapply(seq_along(calls), function(i) identical(environment(sys.function(i)), own), NA)
  calls[!ours]
}

# R's own frames on the way from an error to its handlers.
is_way <- function(call)
  is.name(call[[1]]) && as.character(call[[1]]) %in% c(".handleSimpleError", "h", ".signalSimpleWarning", "withRestarts",
                                                       "withOneRestart", "doWithOneRestart")

headline_of <- function(condition) {
  call <- conditionCall(condition)
  message <- conditionMessage(condition)
  if (is.null(call)) return(paste0("Error: ", message))
  call <- substr(deparse(call, nlines = 1L)[1], 1, 160)
  paste0("Error in ", call, if (nchar(call) + nchar(sub("\n.*", "", message)) > 58) " : \n  " else " : ", message)
}

# For R's own traceback().
kept_of <- function(calls) as.pairlist(lapply(rev(utils::tail(calls, calls_max)), function(call) deparse(call, nlines = 3L)))

on_error <- function(condition) {
  calls <- calls_now()
  # signalCondition() only asks around: when nobody answers, the program goes on.
  if (length(calls) && identical(calls[[length(calls)]][[1]], quote(signalCondition))) return()
  while (length(calls) && is_way(calls[[length(calls)]])) calls <- calls[-length(calls)]
  .Call(report, class(condition)[1], conditionMessage(condition),
        traceback_of(headline_of(condition), vapply(calls, line_of, "")), FALSE, kept_of(calls))
  if (is.null(getOption("error"))) invokeRestart("abort")
}

on_interrupt <- function(condition) {
  calls <- calls_now()
  .Call(report, class(condition)[1], "", traceback_of(class(condition)[1], vapply(calls, line_of, "")), TRUE, kept_of(calls))
  invokeRestart("abort")
}

# An error that no calling handler was asked about. R has kept what it printed.
fallback <- function() {
  message <- geterrmessage()
  if (!nzchar(message)) return(NULL)
  .Internal(seterrmessage(""))
  text <- sub("\n$", "", sub("^Error( in .*?)? ?: ?(\n  )?", "", message))
  name <- if (grepl("C stack usage|C stack overflow", text)) "CStackOverflowError" else
    if (grepl("infinite recursion", text)) "expressionStackOverflowError" else
    if (grepl("protection stack overflow", text)) "protectStackOverflowError" else "simpleError"
  calls <- rev(.traceback())
  c(name, text, traceback_of(sub("\n$", "", message), vapply(calls, function(lines) substr(lines[1], 1, 160), "")))
}

# ---- what R would do to itself ----

# In the namespace, and where it is attached.
replace <- function(name, value, package = "base") {
  spaces <- if (package == "base") list(baseenv()) else list(asNamespace(package), as.environment(paste0("package:", package)))
  for (space in spaces) {
    locked <- bindingIsLocked(name, space)
    if (locked) unlockBinding(name, space)
    assign(name, value, space)
    if (locked) lockBinding(name, space)
  }
}

replace_all <- function() {
  quit <- base::quit
  body(quit) <- substitute(if (!.Call(leave, as.integer(status))) .Internal(quit(save, status, runLast)), list(leave = leave))
  environment(quit) <- baseenv()
  replace("quit", quit)
  replace("q", quit)

  file <- base::file
  body(file) <- substitute({
    if (identical(description, "stdin")) return(.Call(from_engine, open))
    own
  }, list(from_engine = from_engine, own = body(file)))
  replace("file", file)

  for (name in c("system", "system2")) {
    caller <- get(name, baseenv())
    body(caller) <- with_shell(body(caller))
    replace(name, caller)
  }
}

# R's own way to a shell ignores SIGINT while it waits.
with_shell <- function(code) {
  if (!is.call(code)) return(code)
  if (identical(code, quote(.Internal(system(command, intern, timeout)))))
    return(substitute(if (intern || timeout > 0) .Internal(system(command, intern, timeout)) else {
      status <- .Call(shell, command)
      if (status == 127L) warning("error in running command", call. = FALSE)
      invisible(status)
    }, list(shell = shell)))
  for (i in seq_along(code)) if (is.call(code[[i]])) code[[i]] <- with_shell(code[[i]])
  code
}

begin_cell <- function(formats) {
  .Internal(seterrmessage(""))
  begin_pages(formats)
}

# Before anything is run; an R that is to be frozen does it once for all its forks.
prepare <- function() {
  replace_all()
  attach(displays, name = "retort", pos = length(search()) - 1, warn.conflicts = FALSE)
  options(pager = page, jupyter.base_display_func = publish_mimebundle, device = open_device, menu.graphics = FALSE, help_type = "text")
  begin_hooks()
}

listen <- function() globalCallingHandlers(error = on_error, interrupt = on_interrupt)
