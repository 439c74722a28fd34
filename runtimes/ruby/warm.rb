# frozen_string_literal: true
# SPDX-License-Identifier: Apache-2.0
#
# In a Ruby that was started ahead of its program (-r, as hook.rb): it has loaded all that Ruby loads by itself, and nothing
# else, because a program would see that. Opening RETORT_GO waits until there is a program, and tells its arguments; its
# environment is in place then, and Ruby goes on to read its file.

lambda do
  strings = File.binread(ENV.fetch("RETORT_GO")).split("\0", -1)
  args = strings[2, strings[0].to_i - 1]
  ARGV.replace(args.map { |arg| arg.force_encoding(Encoding.default_external) })
  hook = "#{__dir__}/hook.rb"
  load hook
  # As in hook.rb: this file is listed once it has been read.
  unlist = TracePoint.new(:line) do |at|
    if at.path != __FILE__ && at.path != hook
      unlist.disable
      $LOADED_FEATURES.delete(__FILE__)
    end
  end
  unlist.enable(target_thread: Thread.current)
end.call
