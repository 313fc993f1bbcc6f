/// A client's address with what tells one client from its neighbours taken out.
enum NetworkAddress {
  /// The network alone: the first 24 bits of IPv4, such as `203.0.113.0`, the first 48 of IPv6, such as
  /// `2001:db8:1::`. Of several with commas, each.
  ///
  /// - Returns: nil where the text is no address.
  static func truncated(_ text: String) -> String? {
    let parts = text.split(separator: ",", omittingEmptySubsequences: false)
    guard parts.count <= 16 else { return nil }
    var networks: [String] = []
    for part in parts {
      let address = part.filter { $0 != " " }
      guard let network = four(address) ?? six(address) else { return nil }
      networks.append(network)
    }
    return networks.joined(separator: ", ")
  }

  private static func four(_ text: String) -> String? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 4, parts.allSatisfy({ UInt8($0) != nil && $0.first != "+" }) else {
      return nil
    }
    return "\(parts[0]).\(parts[1]).\(parts[2]).0"
  }

  private static func six(_ text: String) -> String? {
    let address = text.split(separator: "%", maxSplits: 1).first ?? ""
    guard address.contains(":"), address.utf8.count <= 45 else { return nil }
    // An IPv4 address within one of IPv6.
    if let colon = address.lastIndex(of: ":"), address[colon...].contains(".") {
      return four(String(address[address.index(after: colon)...]))
    }
    let halves = address.split(separator: ":", omittingEmptySubsequences: false)
    guard halves.count <= 9, halves.allSatisfy({ $0.isEmpty || UInt16($0, radix: 16) != nil })
    else {
      return nil
    }
    let hasGap = address.contains("::")
    guard hasGap || halves.count == 8 && !halves.contains("") else { return nil }
    var head: [String] = []
    for group in halves.prefix(3) {
      guard let value = UInt16(group, radix: 16) else { break }
      head.append(String(value, radix: 16))
    }
    while let last = head.last, last == "0" { head.removeLast() }
    return head.isEmpty ? "::" : head.joined(separator: ":") + "::"
  }
}
