# Runs in the guest under dash: takes the host's commands from one virtio-serial port, gives their output on two others.
# One command at a time:  RUN ID MARK SECONDS BASE64-OF-SCRIPT  ->  output, MARK on both ports, then  DONE ID STATUS
set -u
cd /
umask 077
work=/run/qemu-tests
mkdir -p "$work"

port() {
    for place in /sys/class/virtio-ports/*; do
        [ -r "$place/name" ] && read -r name <"$place/name" && [ "$name" = "$1" ] || continue
        echo "/dev/${place##*/}"
        return 0
    done
    return 1
}

[ -d /sys/class/virtio-ports ] || modprobe virtio_console
tries=0
until control=$(port control) && out=$(port stdout) && err=$(port stderr); do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || { echo "the host's virtio-serial ports are not here" >&2; exit 1; }
    sleep 0.1
done
# A port opens once only: for both directions at once.
exec 3<>"$control" 5>"$out" 6>"$err"

read -r boot </proc/sys/kernel/random/boot_id
echo "HELLO $boot" >&3
while read -r verb id mark seconds script <&3; do
    [ "$verb" = RUN ] || continue
    echo "$script" | base64 -d >"$work/script"
    timeout -k 2 "$seconds" /bin/sh "$work/script" </dev/null >&5 2>&6 3>&- 5>&- 6>&-
    status=$?
    printf '\000%s\000' "$mark" >&5
    printf '\000%s\000' "$mark" >&6
    echo "DONE $id $status" >&3
done
