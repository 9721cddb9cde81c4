#!/bin/bash
# A node, as process 1 of its namespaces: a root of its own, then containerd, kube-proxy and
# kubelet until one of them ends. It is to be killed; the kernel then takes everything along.
#
#   NODE     its folder: configuration, and what kubelet and pods write
#   IMAGES   containerd's folder, which outlives the cluster
#   SHARED   folders that it sees as the machine does, one a line; those two are among them
#   PROGRAMS folders of containerd, kubelet and kube-proxy, as in PATH
#   PAUSE    the archive of the image that holds pods
#   NAME, ADDRESS
set -euo pipefail
hostname "$NAME"

# What it writes elsewhere on the disk (there are many such places) stays in memory.
mkdir -p "$NODE/root"
mount -t tmpfs -o mode=755 tmpfs "$NODE/root"
cd "$NODE/root"
mkdir upper work merged
mount -t overlay -o "lowerdir=/,upperdir=$PWD/upper,workdir=$PWD/work" overlay merged
cd merged
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /sys/fs/cgroup sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs -o mode=755 tmpfs run
while read -r folder; do
    mkdir -p ".$folder"
    mount --bind "$folder" ".$folder"
done <<< "$SHARED"
mkdir run/machine
pivot_root . run/machine
umount --lazy /run/machine
mount --make-rshared / # pods may ask for mounts of theirs to be seen by others
rm -f /etc/resolv.conf
cp "$NODE/resolv.conf" /etc/resolv.conf
echo 1 > /proc/sys/net/ipv4/ip_forward

export PATH="$PROGRAMS:$PATH" # containerd looks for its shim there
socket="$NODE/containerd.sock"
ctr() { command ctr --address "$socket" --namespace k8s.io "$@"; }

start_containerd() {
    containerd --config "$NODE/containerd.toml" &
    containerd=$!
    for _ in {1..300}; do
        if ctr version > /dev/null 2>&1; then return; fi
        sleep 0.1
    done
    echo "containerd does not answer" >&2
    exit 1
}

# Pods of an earlier cluster: their images stay, nothing else does.
forget_pods() {
    local sandboxes containers
    sandboxes=$(ctr sandboxes list | awk 'NR > 1 { print $1 }')
    if [ -n "$sandboxes" ]; then ctr sandboxes remove --force $sandboxes; fi
    containers=$(ctr containers list --quiet)
    if [ -n "$containers" ]; then ctr containers remove $containers; fi
    if [ -z "$sandboxes$containers" ]; then return; fi
    kill "$containerd" # it remembers them
    wait "$containerd" || true
    rm -rf "$IMAGES"/io.containerd.grpc.v1.cri
    start_containerd
}

rm -f "$socket"
start_containerd
if [ ! -e "$NODE/kubelet" ]; then forget_pods; fi
ctr images import "$PAUSE"

kube-proxy --config "$NODE/proxy.yaml" &
kubelet --config "$NODE/kubelet.yaml" --kubeconfig "$NODE.kubeconfig" --root-dir "$NODE/kubelet" \
    --cert-dir "$NODE/kubelet/pki" --hostname-override "$NAME" --node-ip "$ADDRESS" &
wait -n
