#!/bin/bash
# Health of the login node: sshd greets and the controller answers.
set -euo pipefail

exec 3<>/dev/tcp/127.0.0.1/22
read -r -t 5 greeting <&3
[[ $greeting == SSH-2.0-* ]]
scontrol ping | grep -q 'is UP'
