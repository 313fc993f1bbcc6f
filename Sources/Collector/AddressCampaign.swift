import Events
import HTTPServer

/// The campaign that the address of a page names, such as `https://example.org/?utm_campaign=spring`.
enum AddressCampaign {
  /// - Parameter names: of the fields of the address that name a campaign.
  /// - Returns: nil where the address names none that can be a dimension's value. An address is
  ///   written by anybody, so it is no reason to refuse the event of a page.
  static func find(in address: String, _ names: Set<String>) -> String? {
    let utf8 = address.utf8
    guard let mark = utf8.firstIndex(of: UInt8(ascii: "?")) else { return nil }
    let query = utf8[utf8.index(after: mark)...].prefix { $0 != UInt8(ascii: "#") }
    let fields = Array(query).withUnsafeBytes { TextFields(form: $0) }
    return fields.all.first { names.contains($0.name) && isDimension($0.value) }?.value
  }

  /// Whether a text can be the value of a dimension.
  static func isDimension(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.count <= Dimension.bytesMax && !text.utf8.contains(0)
  }
}
