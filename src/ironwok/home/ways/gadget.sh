#!/bin/sh
# Makes this box a USB keyboard, for the projector that its USB port is plugged into. Run as root, at every start.
#
#   gadget.sh up | down
#
# Needs a USB port that can be a device: Raspberry Pi Zero, Zero 2, 4 and 5 (the USB-C port). Once, before:
#   Pi 4/5 and Zero: dtoverlay=dwc2,dr_mode=peripheral in /boot/firmware/config.txt, then restart.
#
# The report descriptor is that of ironwok.home.ways.hid: report 1 keyboard, report 2 consumer keys. The tests compare.
set -eu

CONFIGFS=${CONFIGFS:-/sys/kernel/config}
UDC_CLASS=${UDC_CLASS:-/sys/class/udc}
GADGET=$CONFIGFS/usb_gadget/ironwok
FUNCTION=functions/hid.usb0
DESCRIPTOR='05 01 09 06 a1 01 85 01 05 07 19 e0 29 e7 15 00 25 01 75 01 95 08 81 02 75 08 95 01 81 01 19 00 29 65 25 65
75 08 95 06 81 00 c0 05 0c 09 01 a1 01 85 02 19 00 2a 9c 02 15 00 26 9c 02 75 10 95 01 81 00 c0'

up() {
    if [ -d "$GADGET" ]; then
        echo "gadget.sh: the keyboard is there already: $GADGET" >&2
        exit 0
    fi
    if [ "$CONFIGFS" = /sys/kernel/config ]; then
        modprobe libcomposite
        mountpoint -q "$CONFIGFS" || mount -t configfs none "$CONFIGFS"
    fi
    controller=$(ls "$UDC_CLASS" 2>/dev/null | head -n 1)
    if [ -z "$controller" ]; then
        echo "gadget.sh: no USB port of this box is a device; add dtoverlay=dwc2,dr_mode=peripheral to" \
            "/boot/firmware/config.txt and restart" >&2
        exit 1
    fi
    mkdir -p "$GADGET/strings/0x409" "$GADGET/configs/c.1/strings/0x409" "$GADGET/$FUNCTION"
    # the Linux Foundation's vendor id, its multifunction composite gadget
    echo 0x1d6b > "$GADGET/idVendor"
    echo 0x0104 > "$GADGET/idProduct"
    echo 0x0100 > "$GADGET/bcdDevice"
    echo 0x0200 > "$GADGET/bcdUSB"
    echo ironwok > "$GADGET/strings/0x409/manufacturer"
    echo "ironwok keyboard" > "$GADGET/strings/0x409/product"
    echo 0001 > "$GADGET/strings/0x409/serialnumber"
    echo "keyboard and consumer keys" > "$GADGET/configs/c.1/strings/0x409/configuration"
    echo 100 > "$GADGET/configs/c.1/MaxPower"
    # no boot protocol: report ids do not exist in it
    echo 0 > "$GADGET/$FUNCTION/protocol"
    echo 0 > "$GADGET/$FUNCTION/subclass"
    echo 9 > "$GADGET/$FUNCTION/report_length"
    for byte in $DESCRIPTOR; do
        # octal, because printf of every shell knows it
        printf "\\$(printf '%03o' "0x$byte")"
    done > "$GADGET/$FUNCTION/report_desc"
    ln -s "$GADGET/$FUNCTION" "$GADGET/configs/c.1/"
    echo "$controller" > "$GADGET/UDC"
    # the daemon runs as a user of group "input"
    if [ -c /dev/hidg0 ] && [ "$CONFIGFS" = /sys/kernel/config ]; then
        chgrp input /dev/hidg0
        chmod 660 /dev/hidg0
    fi
    echo "gadget.sh: the keyboard is at $controller"
}

down() {
    [ -d "$GADGET" ] || exit 0
    echo "" > "$GADGET/UDC" || true
    rm -f "$GADGET/configs/c.1/hid.usb0"
    rmdir "$GADGET/configs/c.1/strings/0x409" "$GADGET/configs/c.1" "$GADGET/$FUNCTION" "$GADGET/strings/0x409" "$GADGET"
}

case ${1:-} in
    up) up ;;
    down) down ;;
    *) echo "usage: gadget.sh up | down" >&2; exit 2 ;;
esac
