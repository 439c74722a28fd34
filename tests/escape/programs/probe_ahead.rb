# SPDX-License-Identifier: Apache-2.0
# What an interpreter that was started ahead still holds of whoever started it: nothing.
# expect: status=ok exit=0
# never: open:
# says: looked
socket = Dir.children("/proc/self/fd").map(&:to_i).select do |fd|
  File.readlink("/proc/self/fd/#{fd}").start_with?("socket:", "/memfd:")
rescue SystemCallError
  false
end
puts "open: descriptors #{socket}" unless socket.empty?
puts "open: environment #{ENV.keys.grep(/RETORT|LD_/)}" if ENV.keys.any? { |name| name =~ /\ARETORT|\ALD_/ }
puts "open: the way to its program" if File.exist?("/retort/go") || (File.read("/retort/go") rescue nil)
puts "open: niceness" if Process.getrlimit(:NICE) != [0, 0] || Process.getpriority(Process::PRIO_PROCESS, 0) != 0
begin
  Process.setpriority(Process::PRIO_PROCESS, 0, 5)
  Process.setpriority(Process::PRIO_PROCESS, 0, 0)
  puts "open: urgency"
rescue SystemCallError
  nil
end
# The keeper's words, said once more over whatever takes them.
(3..64).each do |fd|
  io = IO.for_fd(fd, "r+b", autoclose: false)
  io.syswrite([15, 0].pack("LL") + "\0" * 64) if io.stat.socket?
  puts "open: socket #{fd}" if io.stat.socket?
rescue SystemCallError, ArgumentError, IOError
  nil
end
others = Dir.children("/proc").grep(/\A\d+\z/).map(&:to_i) - [1, $$]
puts "open: processes #{others}" unless others.empty?
%w[/proc/1/mem /proc/1/environ /proc/1/root /proc/1/fd/3 /proc/1/exe].each do |path|
  File.open(path) { |_| puts "open: #{path}" }
rescue SystemCallError
  nil
end
begin
  Process.kill(:KILL, 1)
  puts "open: the box's first process"
rescue SystemCallError
  nil
end
puts "looked"
