# SPDX-License-Identifier: Apache-2.0
#
# Completion and help, by what R itself has for its prompt.

matches_max <- 500

# list(matches, start, end), in characters.
complete <- function(code, cursor, detail) {
  before <- substr(code, 1, cursor)
  start_of_line <- max(c(0, gregexpr("\n", before, fixed = TRUE)[[1]]))
  line <- substr(before, start_of_line + 1, nchar(before))
  utils <- asNamespace("utils")
  utils$.assignLinebuffer(line)
  utils$.assignEnd(nchar(line))
  place <- utils$.guessTokenFromLine(update = FALSE)
  utils$.guessTokenFromLine()
  utils$.completeToken()
  matches <- utils$.retrieveCompletions()
  matches <- matches[nzchar(matches)]
  if (length(matches) > matches_max) matches <- matches[seq_len(matches_max)]
  list(as.character(matches), as.integer(start_of_line + place$start), as.integer(cursor))
}

# The name around the cursor: a, a$b, a@b, package::name.
name_at <- function(code, cursor) {
  characters <- strsplit(code, "")[[1]]
  is_name <- grepl("[[:alnum:]_.:$@]", characters)
  if (!length(characters)) return("")
  start <- min(cursor, length(characters))
  if (start < length(characters) && !(start > 0 && is_name[start]) && is_name[start + 1]) start <- start + 1
  if (start == 0 || !is_name[start]) return("")
  end <- start
  while (start > 1 && is_name[start - 1]) start <- start - 1
  while (end < length(characters) && is_name[end + 1]) end <- end + 1
  paste(characters[start:end], collapse = "")
}

# Only names and members are looked up; nothing is called.
value_of <- function(name) {
  tree <- tryCatch(parse(text = name, keep.source = FALSE), error = function(e) NULL)
  if (length(tree) != 1) return(NULL)
  harmless <- c("$", "@", "::", ":::")
  called <- setdiff(all.names(tree[[1]]), all.vars(tree[[1]], unique = FALSE))
  if (!all(called %in% harmless)) return(NULL)
  tryCatch(list(eval(tree[[1]], globalenv())), error = function(e) NULL)
}

help_of <- function(name, whole) {
  parts <- strsplit(name, ":::?")[[1]]
  topic <- parts[length(parts)]
  found <- if (length(parts) == 2) utils::help((topic), package = (parts[1]), help_type = "text") else utils::help((topic), help_type = "text")
  if (!length(found)) return(NULL)
  page <- get(".getHelpFile", asNamespace("utils"))(as.character(found)[1])
  path <- tempfile()
  on.exit(unlink(path))
  tools::Rd2txt(page, out = path, options = list(underline_titles = FALSE), package = basename(dirname(dirname(as.character(found)[1]))))
  lines <- readLines(path, warn = FALSE)
  if (!whole) {
    ends <- grep("^(Details|Value|Note|Author.s.|References|See Also|Examples|Arguments):$", lines)
    if (length(ends)) lines <- lines[seq_len(ends[1] - 1)]
  }
  while (length(lines) && !nzchar(lines[length(lines)])) lines <- lines[-length(lines)]
  lines
}

inspect <- function(code, cursor, detail) {
  name <- name_at(code, cursor)
  if (!nzchar(name)) return(NULL)
  found <- value_of(name)
  lines <- character(0)
  if (length(found)) {
    value <- found[[1]]
    lines <- if (is.function(value)) {
      head <- utils::capture.output(print(args(value)))
      if (length(head) > 1) sub("^function", paste(name, "<- function"), head[-length(head)]) else utils::capture.output(print(value))
    } else utils::capture.output(utils::str(value))
  }
  help <- if (!length(found) || is.function(found[[1]]) || detail > 0) tryCatch(help_of(name, detail > 0), error = function(e) NULL)
  lines <- c(lines, if (length(lines) && length(help)) "", help)
  if (length(lines)) list("text/plain" = paste(lines, collapse = "\n"))
}

# R's option "pager": help(), page() and the like are output.
page <- function(files, header = NULL, title = NULL, delete.file = FALSE) {
  for (file in files) {
    cat(gsub("_\b", "", readLines(file, warn = FALSE)), sep = "\n")
    if (isTRUE(delete.file)) unlink(file)
  }
}

hooks <- list(source_of, explain_parse, show_value, take_pages, fallback, complete, inspect, begin_cell)
