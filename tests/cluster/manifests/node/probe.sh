#!/bin/bash
# What a node does to begin with, in small; called as process 1 of namespaces like a node's. Its
# argument is a folder on the disk that has a bundle of runc in it.
set -euo pipefail
trap 'echo "this failed: $BASH_COMMAND" >&2' ERR
folder=$1
hostname probe

# The network: a switch, a cable, packets that are passed on, chains as kube-proxy has them.
ip link set lo up
ip link add switch type bridge
ip link add here type veth peer name there
ip link set there master switch up
echo 1 > /proc/sys/net/ipv4/ip_forward
iptables --wait 5 --table nat --new-chain PROBE
iptables --wait 5 --table nat --append PROBE --match comment --comment probe --jump MASQUERADE

# kubelet reads the kernel's messages.
test -r /dev/kmsg

# containerd's images, on the disk.
if [ "$(stat --file-system --format %T "$folder")" = tmpfs ]; then
    echo "containerd cannot unpack images in memory: $folder; set DFASTLLM_CLUSTER_STATE" >&2
    exit 1
fi
mkdir "$folder"/{lower,upper,work,merged}
mount -t overlay -o "lowerdir=$folder/lower,upperdir=$folder/upper,workdir=$folder/work" overlay \
    "$folder/merged"
touch "$folder/merged/written"
umount "$folder/merged"

# A root of its own, in memory.
mkdir "$folder/root"
mount -t tmpfs -o mode=755 tmpfs "$folder/root"
cd "$folder/root"
mkdir upper work merged
mount -t overlay -o "lowerdir=/,upperdir=$PWD/upper,workdir=$PWD/work" overlay merged
cd merged
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /sys/fs/cgroup sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs -o mode=755 tmpfs run
mkdir -p ".$folder"
mount --bind "$folder" ".$folder"
mkdir run/machine
pivot_root . run/machine
umount --lazy /run/machine

runc --root /run/probe run --bundle "$folder/bundle" probe
