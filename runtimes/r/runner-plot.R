# SPDX-License-Identifier: Apache-2.0
#
# Figures. What draws without a device of its own gets one that writes a file for each page: R's Cairo devices, which need no
# display. A page is an item when the next one begins or the cell ends; what draws in the next cell without beginning a page goes on
# with the last one, which is drawn again for it. Formats beyond the first are made from R's record of the page.

pages <- new.env(parent = baseenv())
pages$formats <- "png"

endings <- c(png = "image/png", jpeg = "image/jpeg", svg = "image/svg+xml", pdf = "application/pdf")

option_of <- function(name, default) {
  value <- getOption(name)
  if (is.numeric(value) && length(value) == 1 && is.finite(value) && value > 0) value else default
}

raw_device <- function(format, path, width, height) {
  res <- option_of("repr.plot.res", 120)
  switch(format,
         jpeg = grDevices::jpeg(path, width, height, units = "in", res = res, type = "cairo", quality = option_of("repr.plot.quality", 90)),
         svg = grDevices::svg(path, width, height, onefile = FALSE),
         pdf = grDevices::cairo_pdf(path, width, height, onefile = FALSE),
         grDevices::png(path, width, height, units = "in", res = res, type = "cairo"))
}

page_file <- function(i, format = pages$formats[1]) file.path(pages$folder, paste0(i, ".", format))

# R numbers devices, and gives numbers again: only the file says that it is still ours.
is_open <- function() {
  if (is.null(pages$device) || !pages$device %in% grDevices::dev.list()) return(FALSE)
  identical(attr(.Devices[[pages$device]], "filepath"), pages$path)
}

is_current <- function() is_open() && grDevices::dev.cur() == pages$device

# par() that sets something; functions that draw ask it for much.
sets <- function(call) identical(call[[1]], quote(par)) && any(!names(call)[-1] %in% c("", "no.readonly"))

# Whether what opens the device draws on a page without beginning one. High-level functions call dev.hold() first.
goes_on <- function() {
  if (isTRUE(pages$fresh) || is.null(pages$snapshot)) return(FALSE)
  calls <- sys.calls()
  names <- vapply(calls, function(call) if (is.name(call[[1]])) as.character(call[[1]]) else "", "")
  if (any(c("layout", "split.screen", "dev.new") %in% names) || any(vapply(calls, sets, NA))) return(FALSE)
  adds <- vapply(calls, function(call) isTRUE(call$add) || identical(call$add, quote(T)), NA)
  any(adds) || !"dev.hold" %in% names
}

# R's option "device".
open_device <- function(width = option_of("repr.plot.width", 7), height = option_of("repr.plot.height", 5), ...) {
  .Call(plotted)
  again <- if (goes_on()) pages$snapshot
  pages$snapshot <- NULL
  if (!is.null(pages$opened)) tell() # the program closed the one before
  pages$folder <- file.path(tempdir(check = TRUE), paste0("plots", Sys.getpid()))
  dir.create(pages$folder, showWarnings = FALSE)
  unlink(file.path(pages$folder, "*"))
  pages$path <- file.path(pages$folder, paste0("%d.", pages$formats[1]))
  pages$size <- c(width, height)
  raw_device(pages$formats[1], pages$path, width, height)
  pages$device <- unname(grDevices::dev.cur())
  pages$told <- 0
  pages$others <- list()
  pages$skipped <- FALSE
  pages$opened <- TRUE
  grDevices::dev.control("enable")
  pages$again <- 0
  if (!is.null(again)) {
    grDevices::replayPlot(again)
    pages$again <- length(grDevices::recordPlot()[[1]])
  }
}

begin_pages <- function(formats) {
  formats <- intersect(formats, names(endings))
  pages$formats_next <- if (length(formats)) formats else "png"
  pages$drawn <- 0
  if (is_open()) .Call(plotted) else pages$formats <- pages$formats_next
}

drawn_pages <- function() if (is.null(pages$drawn)) 0 else pages$drawn

# The operations that R recorded; those that only set something are not a picture.
is_picture <- function(record) {
  for (step in record[[1]]) {
    name <- tryCatch(step[[2]][[1]]$name, error = function(e) NULL)
    if (!identical(name, "C_par") && !identical(name, "C_layout") && !identical(name, "C_palette2")) return(TRUE)
  }
  FALSE
}

# The page in the other formats: a list of what makes an item, besides the file that the device itself writes.
render_others <- function(record) {
  data <- list()
  current <- grDevices::dev.cur()
  for (format in pages$formats[-1]) {
    path <- file.path(pages$folder, paste0("other.", format))
    raw_device(format, path, pages$size[1], pages$size[2])
    tryCatch(grDevices::replayPlot(record), finally = grDevices::dev.off())
    data[[endings[[format]]]] <- readBin(path, "raw", file.size(path))
    unlink(path)
  }
  if (current > 1) grDevices::dev.set(current)
  data
}

isolated <- list("image/svg+xml" = list(isolated = TRUE))

# Sends what pages the device has finished: a file is whole when the next one is there, or the device is closed. The number of them.
tell <- function(main = FALSE) {
  n <- 0
  while (file.exists(path <- page_file(pages$told + 1)) && (file.exists(page_file(pages$told + 2)) || !is_open())) {
    pages$told <- pages$told + 1
    data <- list()
    data[[endings[[pages$formats[1]]]]] <- readBin(path, "raw", file.size(path))
    data <- c(data, if (length(pages$others) >= pages$told) pages$others[[pages$told]])
    unlink(path)
    if (pages$told == 1 && isTRUE(pages$skipped)) next
    .Call(item, data, if (!is.null(data[["image/svg+xml"]])) isolated, main && !file.exists(page_file(pages$told + 1)))
    n <- n + 1
  }
  n
}

# A page that was only drawn again is not told again.
look_at <- function(record) {
  if (pages$again > 0 && !file.exists(page_file(2)) && length(record[[1]]) == pages$again) pages$skipped <- TRUE
  else remember_others(record)
}

# Pages that are finished; in the end, what is open is. TRUE: some were sent.
take_pages <- function(final, main = FALSE) {
  if (is.null(pages$opened)) return(FALSE)
  if (final && is_open()) {
    current <- grDevices::dev.cur()
    grDevices::dev.set(pages$device)
    record <- grDevices::recordPlot()
    if (is_picture(record)) {
      look_at(record)
      grDevices::dev.off(pages$device)
      pages$snapshot <- record
      if (current != pages$device && current > 1) grDevices::dev.set(current)
    }
  }
  n <- tell(main)
  if (!is_open()) {
    pages$opened <- pages$device <- NULL
    pages$formats <- pages$formats_next
    unlink(pages$folder, recursive = TRUE)
  }
  n > 0
}

remember_others <- function(record) {
  if (length(pages$formats) == 1) return()
  i <- pages$told + 1
  while (file.exists(page_file(i + 1))) i <- i + 1
  pages$others[[i]] <- render_others(record)
}

before_page <- function(...) {
  pages$fresh <- TRUE
  pages$drawn <- drawn_pages() + 1
  if (!is_current() || (length(pages$formats) == 1 && pages$again == 0)) return()
  record <- grDevices::recordPlot()
  if (is_picture(record)) look_at(record)
}

before_base_page <- function(...) if (!is_current() || graphics::par("page")) before_page() else pages$fresh <- TRUE

after_page <- function(...) {
  pages$fresh <- FALSE
  if (!is.null(pages$opened)) {
    .Call(plotted)
    tell()
  }
}

begin_hooks <- function() {
  setHook("before.plot.new", before_base_page)
  setHook("before.grid.newpage", before_page)
  setHook("plot.new", after_page)
  setHook("grid.newpage", after_page)
  setHook("persp", after_page)
}
