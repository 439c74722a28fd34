# SPDX-License-Identifier: Apache-2.0
# The longest words of a text, by length: ruby words.rb [HOW_MANY] < text
longest = $stdin.read.downcase.scan(/\p{L}+/).uniq.sort_by { |word| [-word.length, word] }
longest.first((ARGV[0] || 3).to_i).each { |word| puts format("%-16s %d", word, word.length) }
