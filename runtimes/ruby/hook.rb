# frozen_string_literal: true
# SPDX-License-Identifier: Apache-2.0
#
# Tells Retort what ended a Ruby program: ruby loads this before the program (-r), and when an exception ends the process
# it writes {"name", "value", "traceback"} to descriptor 3. It only looks: what Ruby prints, and its exit code, are as
# without it. Nothing of it can be seen by the program: no constant, no method, no entry in $LOADED_FEATURES.

# This file is listed once it has been read: the first line of the program is the next thing that happens.
unlist = TracePoint.new(:line) do |at|
  if at.path != __FILE__
    unlist.disable
    $LOADED_FEATURES.delete(__FILE__)
  end
end
unlist.enable(target_thread: Thread.current)

wanted = begin
  File.readlink("/proc/self/fd/3").start_with?("pipe:", "socket:")
rescue SystemCallError
  false
end

if wanted
  value_max = 16 * 1024 # characters: a report is at most 256 KiB, and JSON may write one as six bytes
  traceback_max = 24 * 1024
  owner = Process.pid

  cut = lambda do |text, most|
    text = text.dup.force_encoding(Encoding::UTF_8) if text.encoding == Encoding::ASCII_8BIT
    text = text.encode(Encoding::UTF_8, invalid: :replace, undef: :replace).scrub
    text.length > most ? "#{text[0, most / 2]}\n[...]\n#{text[-most / 2, most / 2]}" : text
  end

  quoted = lambda do |text|
    escaped = text.gsub(/["\\\u0000-\u001f\u007f]/) { |c| format("\\u%04x", c.ord) }
    "\"#{escaped}\""
  end

  # Registered first, so run last: the program's own handlers have had their say.
  at_exit do
    thrown = $!
    next if thrown.nil? || SystemExit === thrown || Process.pid != owner
    next if SignalException === thrown && !(Interrupt === thrown) # Ruby dies of the signal, and says nothing

    begin
      name = Module.instance_method(:name).bind_call(Kernel.instance_method(:class).bind_call(thrown)) || "anonymous"
      value = begin
        thrown.message.to_s
      rescue Exception # whatever a program's own message method does
        ""
      end
      traceback = (thrown.backtrace || []).join("\n")
      report = "{\"name\": #{quoted[cut[name, 256]]}, \"value\": #{quoted[cut[value, value_max]]}, " \
               "\"traceback\": #{quoted[cut[traceback, traceback_max]]}}"
      IO.for_fd(3, "wb", autoclose: false).syswrite(report)
    rescue Exception # Ruby tells the program's own story next
      nil
    end
  end
end
