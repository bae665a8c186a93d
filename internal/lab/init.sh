#!/bin/sh
# First process of a guest; package lab fills in the words between @ signs.
export @ENV@
dir=@DIR@
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/log
# SCTP cannot listen without hmac: its cookies are signed.
for module in hmac sctp sctp_diag veth bridge sch_netem dummy; do modprobe -d "$dir" $module; done
ip link set lo up multicast on
ip link add dummy0 type dummy 2>/dev/null
ip addr add 192.168.77.1/24 dev dummy0
ip link set dummy0 up multicast on
ip route add 224.0.0.0/4 dev dummy0
cd @WORK@
echo @STARTED@
@COMMAND@ </dev/null
echo $? >"$dir/code"
echo @ENDED@
sync
echo o >/proc/sysrq-trigger
while :; do sleep 1; done
