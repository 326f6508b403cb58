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

/// The asset tags of Azure's machines, and of Oracle's, also of bare metal.
const AZURE_TAG: &str = "7783-7084-3265-9085-8269-3286-77";
const ORACLE_TAG: &str = "OracleCloud.com";

/// Clouds by their vendor, with a service that this node asks.
const VENDORS: [(&str, Service); 4] = [
    ("Hetzner", Service::Hetzner),
    ("DigitalOcean", Service::DigitalOcean),
    ("Vultr", Service::Vultr),
    ("Scaleway", Service::Scaleway),
];

/// Clouds that this node does not ask, by what their vendor or product begins with (cloud-init, `ds-identify`), and what they are called.
const UNASKED: [(&str, &str); 18] = [
    ("3DS Outscale", "3DS Outscale"),
    ("Akamai", "Akamai"),
    ("CloudCIX", "CloudCIX"),
    ("CloudSigma", "CloudSigma"),
    ("CloudStack", "Apache CloudStack"),
    ("Apache Software Foundation", "Apache CloudStack"),
    ("Apache CloudStack", "Apache CloudStack"),
    ("e24cloud", "e24cloud"),
    ("IBM:Cloud", "IBM Cloud"),
    ("Linode", "Akamai (Linode)"),
    ("NWCS", "NWCS"),
    ("OpenNebula", "OpenNebula"),
    ("SmartDC", "SmartDC"),
    ("Tencent Cloud", "Tencent Cloud"),
    ("Tilaa", "Tilaa"),
    ("UpCloud", "UpCloud"),
    ("Volcengine", "Volcengine"),
    ("Yandex", "Yandex Cloud"),
];

/// Those by the end of their asset tag.
const UNASKED_TAGS: [(&str, &str); 2] = [(".zstack.io", "ZStack"), ("ibmcloud", "IBM Cloud")];

impl Dmi<'_> {
    /// The name of the cloud that the machine is of, if it is one that this node does not ask.
    pub fn unasked(&self) -> Option<&'static str> {
        if self.service().is_some() {
            return None;
        }
        let says = |start: &str| [self.vendor, self.product].iter().any(|text| text.trim().starts_with(start));
        let ends = |end: &str| self.asset_tag.trim().to_ascii_lowercase().ends_with(end);
        let named = UNASKED.iter().find(|(start, _)| says(start));
        named.or_else(|| UNASKED_TAGS.iter().find(|(end, _)| ends(end))).map(|(_, name)| *name)
    }

    /// The service of this cloud, if there is one.
    pub fn service(&self) -> Option<Service> {
        let [vendor, product, bios_version, asset_tag] =
            [self.vendor, self.product, self.bios_version, self.asset_tag].map(str::trim);
        if let Some((_, service)) = VENDORS.iter().find(|(known, _)| *known == vendor) {
            return Some(*service);
        }
        // Other machines on the same hypervisor have Azure's vendor and product, too.
        match asset_tag {
            AZURE_TAG => return Some(Service::Azure),
            ORACLE_TAG => return Some(Service::Oracle),
            _ => {}
        }
        if product.starts_with("Exoscale") {
            return Some(Service::Exoscale);
        }
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
