# SPDX-License-Identifier: Apache-2.0
puts "hello from Ruby"
