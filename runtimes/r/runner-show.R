# SPDX-License-Identifier: Apache-2.0
#
# How values are shown: as text exactly what print() says, and besides what the package repr makes of them. The functions that
# programs call, those of IRdisplay among them, are in displays.

table_cells_max <- 1e6 # of a data frame that also goes as data
list_bytes_max <- 1e6  # of a list that also goes as HTML and LaTeX

types <- c(text = "text/plain", plain = "text/plain", html = "text/html", markdown = "text/markdown", latex = "text/latex",
           png = "image/png", jpeg = "image/jpeg", svg = "image/svg+xml", pdf = "application/pdf", json = "application/json",
           javascript = "application/javascript", chart = "application/vnd.retort.chart+json",
           data = "application/vnd.retort.data+json", vegalite = "application/vnd.vegalite.v5+json")

mime_of <- function(name) if (grepl("/", name, fixed = TRUE)) name else {
  mime <- unname(types[name])
  if (is.na(mime)) stop("display: unknown type '", name, "'; a MIME type or one of ", paste(names(types), collapse = ", "), call. = FALSE)
  mime
}

text_of <- function(value) {
  done <- FALSE
  on.exit(if (!done) .Call(release))
  text <- .Call(printed, value)
  done <- TRUE
  text
}

# ---- a data frame as data ----

iso_time <- function(x) {
  zone <- attr(x, "tzone")
  seconds <- unclass(as.POSIXct(x))
  fraction <- if (any(seconds != floor(seconds), na.rm = TRUE)) "%Y-%m-%dT%H:%M:%OS6" else "%Y-%m-%dT%H:%M:%S"
  text <- format(x, fraction)
  if (is.null(zone) || !nzchar(zone[1])) return(text)
  offset <- format(x, "%z")
  ifelse(is.na(text), NA, paste0(text, substr(offset, 1, 3), ":", substr(offset, 4, 5)))
}

column_of <- function(x, rows) {
  value <- if (is.factor(x)) as.character(x)
    else if (inherits(x, "POSIXt")) iso_time(x)
    else if (inherits(x, "Date")) format(x)
    else if (inherits(x, "difftime")) as.numeric(x)
    else if (is.list(x)) vapply(x, function(v) paste(format(v), collapse = ", "), "")
    else if (is.object(x)) as.vector(x)
    else if (is.complex(x)) as.character(x)
    else x
  attributes(value) <- NULL
  if (is.atomic(value) && length(value) == rows) value else as.character(value)
}

# Columns that are tables themselves become several.
columns_of <- function(x, name) {
  if (is.data.frame(x)) parts <- lapply(seq_along(x), function(k) x[[k]])
  else if (length(dim(x)) == 2) parts <- lapply(seq_len(ncol(x)), function(k) x[, k])
  else return(structure(list(x), names = name))
  labels <- if (is.null(colnames(x))) seq_along(parts) else colnames(x)
  structure(parts, names = paste0(name, ".", labels))
}

table_of <- function(frame) {
  rows <- nrow(frame)
  if (rows * length(frame) > table_cells_max) return(NULL)
  plain <- do.call(c, lapply(seq_along(frame), function(i) columns_of(frame[[i]], names(frame)[i])))
  structure(lapply(plain, column_of, rows), names = make.unique(as.character(names(plain))), class = "retort_table")
}

# ---- what repr makes of a value ----

is_rich <- function(value)
  is.data.frame(value) || is.function(value) || is.factor(value) || (length(dim(value)) == 2 && is.atomic(value)) ||
    (is.list(value) && !is.object(value) && length(value) > 0 && utils::object.size(value) <= list_bytes_max) ||
    (is.object(value) && !inherits(value, c("Date", "POSIXt", "difftime", "noquote")) && has_method(value))

# A class that somebody wrote a method for; the methods for everything only print.
has_method <- function(value)
  requireNamespace("repr", quietly = TRUE) &&
    any(vapply(class(value), function(name) !is.null(utils::getS3method("repr_html", name, optional = TRUE, envir = asNamespace("repr"))), NA))

kinds <- c(html = "text/html", markdown = "text/markdown", latex = "text/latex")

rich_of <- function(value) {
  if (!is_rich(value) || !requireNamespace("repr", quietly = TRUE)) return(NULL)
  data <- list()
  for (kind in names(kinds)) {
    said <- tryCatch(suppressWarnings(suppressMessages(getExportedValue("repr", paste0("repr_", kind))(value))), error = function(e) NULL)
    if (is.character(said) && length(said) == 1 && !is.na(said)) data[[kinds[[kind]]]] <- as.character(said)
  }
  data
}

# A widget prints itself by opening a browser.
is_widget <- function(value) inherits(value, c("htmlwidget", "shiny.tag", "shiny.tag.list"))

bundle_of <- function(value, text = text_of(value)) {
  data <- list()
  data[["text/plain"]] <- if (is.null(text)) "" else text
  data <- c(data, rich_of(value))
  if (is.data.frame(value)) data[["application/vnd.retort.data+json"]] <- tryCatch(table_of(value), error = function(e) NULL)
  data
}

# The last expression's value. A plot that is a value draws itself when it is printed: then its page is the value.
show_value <- function(value) {
  before <- drawn_pages()
  text <- if (is_widget(value)) paste0("<", class(value)[1], ">") else text_of(value)
  draws <- is.null(text) && (drawn_pages() > before || inherits(value, "recordedplot"))
  if (draws && take_pages(TRUE, main = TRUE)) return()
  take_pages(TRUE)
  .Call(item, bundle_of(value, text), NULL, TRUE)
}

# ---- for programs ----

publish <- function(data, metadata = NULL) invisible(.Call(item, data, metadata, FALSE))

publish_mimebundle <- function(data, metadata = NULL) publish(as.list(data), as.list(metadata))

content_of <- function(data, file) {
  if (!is.null(data)) return(data)
  if (is.null(file)) stop("display: neither data nor file", call. = FALSE)
  readBin(file, "raw", file.size(file))
}

shower <- function(kind) {
  mime <- types[[kind]]
  function(data = NULL, file = NULL, ...) {
    content <- list(content_of(data, file))
    names(content) <- mime
    publish(content, if (identical(mime, "image/svg+xml")) list("image/svg+xml" = list(isolated = TRUE)))
  }
}

displays <- list(
  display = function(obj, ..., mimetypes = NULL, metadata = NULL, error_handler = NULL) {
    given <- list(...)
    names(given) <- vapply(names(given), mime_of, "")
    if (missing(obj)) return(publish(given, metadata))
    if (inherits(obj, c("ggplot", "trellis", "recordedplot"))) {
      print(obj)
      return(invisible(take_pages(TRUE)))
    }
    data <- bundle_of(obj, if (is_widget(obj)) paste0("<", class(obj)[1], ">") else text_of(obj))
    if (!is.null(mimetypes)) data <- data[names(data) %in% mimetypes]
    data[names(given)] <- given
    publish(data, metadata)
  },
  display_raw = function(mimetype, is_binary, data, file = NULL, isolate_full_html = FALSE) {
    content <- list(content_of(data, file))
    names(content) <- mimetype
    publish(content)
  },
  publish_mimebundle = publish_mimebundle,
  clear_output = function(wait = TRUE) invisible()
)
for (kind in c("html", "markdown", "latex", "png", "jpeg", "svg", "pdf", "json", "javascript", "text"))
  displays[[paste0("display_", kind)]] <- shower(kind)
