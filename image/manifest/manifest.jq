# packages.tsv -> manifest.json: what the image is made of. Sizes are bytes; a package's is dpkg's Installed-Size.
{
  version: $version,
  commit: $commit,
  digest: $digest,
  created: $created,
  kernel: $kernel,
  kernel_bytes: $vmlinuz,
  initramfs_bytes: $initramfs,
  installed_bytes: $installed,
  disk_bytes: $disk,
  compressed_bytes: $compressed,
  packages: [inputs | split("\t") | {name: .[0], version: .[1], architecture: .[2], installed_bytes: (.[3] | tonumber * 1024)}]
}
