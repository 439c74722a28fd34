echo "hello from Bash"
