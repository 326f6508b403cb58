# packages.tsv -> SPDX 2.3 (https://spdx.github.io/spdx-spec/v2.3/): the Debian packages of the image, with package URLs
# that vulnerability scanners match. Columns: package, version, architecture, size in KiB, source, source version.
def id: gsub("[^A-Za-z0-9.-]"; "-");
[inputs | split("\t")] as $packages
| {
    spdxVersion: "SPDX-2.3",
    dataLicense: "CC0-1.0",
    SPDXID: "SPDXRef-DOCUMENT",
    name: "ballast-\($version)",
    documentNamespace: "https://ballast.invalid/spdx/\($commit)",
    creationInfo: {created: $created, creators: ["Organization: Ballast"]},
    packages: (
      [{name: "ballast", SPDXID: "SPDXRef-ballast", versionInfo: $version, downloadLocation: "NOASSERTION",
        filesAnalyzed: false, primaryPackagePurpose: "OPERATING-SYSTEM"}]
      + [$packages[] | {
          name: .[0], SPDXID: "SPDXRef-\(.[0] | id)", versionInfo: .[1], downloadLocation: "NOASSERTION", filesAnalyzed: false,
          sourceInfo: "built from \(.[4]) \(.[5])",
          externalRefs: [{referenceCategory: "PACKAGE-MANAGER", referenceType: "purl",
            referenceLocator: "pkg:deb/debian/\(.[0] | @uri)@\(.[1] | @uri)?arch=\(.[2])"}]}]),
    relationships: (
      [{spdxElementId: "SPDXRef-DOCUMENT", relationshipType: "DESCRIBES", relatedSpdxElement: "SPDXRef-ballast"}]
      + [$packages[] | {spdxElementId: "SPDXRef-ballast", relationshipType: "CONTAINS", relatedSpdxElement: "SPDXRef-\(.[0] | id)"}])
  }
