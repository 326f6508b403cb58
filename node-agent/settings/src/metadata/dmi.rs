//! Which cloud a machine is of, by what its firmware says (the files in /sys/class/dmi/id).

use super::Service;

/// What the firmware says; what cannot be read is empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dmi<'a> {
    /// `sys_vendor`
    pub vendor: &'a str,
    /// `product_name`
    pub product: &'a str,
    /// `bios_version`
    pub bios_version: &'a str,
    /// `chassis_asset_tag`
    pub asset_tag: &'a str,
}

/// Clouds that are OpenStack under another name (cloud-init's list, DataSourceOpenStack).
const OPENSTACK_TAGS: [&str; 4] = ["HUAWEICLOUD", "OpenTelekomCloud", "SAP CCloud VM", "Samsung Cloud Platform"];

impl Dmi<'_> {
    /// The service of this cloud, if there is one.
    pub fn service(&self) -> Option<Service> {
        let [vendor, product, bios_version, asset_tag] =
            [self.vendor, self.product, self.bios_version, self.asset_tag].map(str::trim);
        // Nitro names the vendor; older instances, on Xen, the version of their firmware.
        if vendor == "Amazon EC2" || (vendor == "Xen" && bios_version.ends_with(".amazon")) {
            return Some(Service::Ec2);
        }
        if vendor == "Alibaba Cloud" || product.starts_with("Alibaba Cloud ECS") {
            return Some(Service::Alibaba);
        }
        if product == "Google Compute Engine" {
            return Some(Service::Gce);
        }
        let is_openstack = vendor == "OpenStack Foundation"
            || matches!(product, "OpenStack Nova" | "OpenStack Compute")
            || OPENSTACK_TAGS.contains(&asset_tag);
        is_openstack.then_some(Service::OpenStack)
    }
}
