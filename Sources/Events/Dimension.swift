/// A dimension by which metrics are kept. The raw value is its place in an encoded tuple.
public enum Dimension: Int, CaseIterable, Sendable {
  case site = 0
  case campaign
  case content
  case variant
  case channel
  /// ISO 4217 code of the money in the event, or empty where there is none.
  case currency
  /// Who sent the event: empty for people, ``DimensionTuple/bot`` for others.
  case traffic

  public var name: String {
    switch self {
    case .site: "site"
    case .campaign: "campaign"
    case .content: "content"
    case .variant: "variant"
    case .channel: "channel"
    case .currency: "currency"
    case .traffic: "traffic"
    }
  }

  /// Those that stand in every encoded tuple. The rest were added later and stand there only where one of
  /// them is not empty, so that tuples of before are still the same.
  public static let always: [Dimension] = allCases.filter { $0 != .traffic }

  public init?(name: some StringProtocol) {
    guard let dimension = Self.allCases.first(where: { $0.name == name }) else { return nil }
    self = dimension
  }

  /// The longest value of a dimension in UTF-8 bytes; collectors reject longer ones.
  public static let bytesMax = 256
}

/// One value per ``Dimension``, in the encoding of frames, state and read models:
/// for each dimension its length as two bytes, little-endian, then its UTF-8 bytes. An empty ``traffic`` has
/// no place in it.
public struct DimensionTuple: Hashable, Sendable {
  public var site: String
  public var campaign: String
  public var content: String
  public var variant: String
  public var channel: String
  public var currency: String
  public var traffic: String

  /// The ``traffic`` of events that no people sent.
  public static let bot = "bot"

  public init(
    site: String, campaign: String = "", content: String = "", variant: String = "",
    channel: String = "", currency: String = "", traffic: String = ""
  ) {
    self.site = site
    self.campaign = campaign
    self.content = content
    self.variant = variant
    self.channel = channel
    self.currency = currency
    self.traffic = traffic
  }

  public subscript(dimension: Dimension) -> String {
    switch dimension {
    case .site: site
    case .campaign: campaign
    case .content: content
    case .variant: variant
    case .channel: channel
    case .currency: currency
    case .traffic: traffic
    }
  }

  public var encoded: [UInt8] {
    let byteCount =
      2 * Dimension.always.count + site.utf8.count + campaign.utf8.count + content.utf8.count
      + variant.utf8.count + channel.utf8.count + currency.utf8.count
      + (traffic.isEmpty ? 0 : 2 + traffic.utf8.count)
    return [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, count in
      // In the order of `Dimension.always`, written out because every event passes here.
      Self.write(site, to: buffer, &count)
      Self.write(campaign, to: buffer, &count)
      Self.write(content, to: buffer, &count)
      Self.write(variant, to: buffer, &count)
      Self.write(channel, to: buffer, &count)
      Self.write(currency, to: buffer, &count)
      if !traffic.isEmpty { Self.write(traffic, to: buffer, &count) }
    }
  }

  /// The encoding of the tuple of an event of people whose values, in UTF-8, are not strings yet.
  public static func encoded(
    site: UnsafeRawBufferPointer, campaign: UnsafeRawBufferPointer,
    content: UnsafeRawBufferPointer, variant: UnsafeRawBufferPointer,
    channel: UnsafeRawBufferPointer, currency: UnsafeRawBufferPointer
  ) -> [UInt8] {
    let byteCount =
      2 * Dimension.always.count + site.count + campaign.count + content.count + variant.count
      + channel.count + currency.count
    return [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, count in
      write(site, to: buffer, &count)
      write(campaign, to: buffer, &count)
      write(content, to: buffer, &count)
      write(variant, to: buffer, &count)
      write(channel, to: buffer, &count)
      write(currency, to: buffer, &count)
    }
  }

  private static func write(
    _ value: String, to buffer: UnsafeMutableBufferPointer<UInt8>, _ count: inout Int
  ) {
    var value = value
    value.withUTF8 { write(UnsafeRawBufferPointer($0), to: buffer, &count) }
  }

  @inline(__always)
  private static func write(
    _ value: UnsafeRawBufferPointer, to buffer: UnsafeMutableBufferPointer<UInt8>,
    _ count: inout Int
  ) {
    precondition(value.count <= Int(UInt16.max), "a dimension is at most 65,535 bytes")
    buffer[count] = UInt8(truncatingIfNeeded: value.count)
    buffer[count + 1] = UInt8(truncatingIfNeeded: value.count >> 8)
    count += 2
    if let base = buffer.baseAddress {
      UnsafeMutableRawBufferPointer(start: base + count, count: value.count)
        .copyMemory(from: value)
    }
    count += value.count
  }

  /// - Precondition: `value` is at most 65,535 bytes; collectors hold it to ``Dimension/bytesMax``.
  public static func append(_ value: String, to bytes: inout [UInt8]) {
    let utf8 = value.utf8
    precondition(utf8.count <= Int(UInt16.max), "a dimension is at most 65,535 bytes")
    bytes.append(UInt8(truncatingIfNeeded: utf8.count))
    bytes.append(UInt8(truncatingIfNeeded: utf8.count >> 8))
    bytes.append(contentsOf: utf8)
  }

  /// - Returns: nil where `bytes` is not an encoded tuple.
  public init?(encoded bytes: UnsafeRawBufferPointer) {
    var values: [String] = []
    values.reserveCapacity(Dimension.allCases.count)
    var offset = 0
    while values.count < Dimension.always.count
      || offset < bytes.count && values.count < Dimension.allCases.count
    {
      guard offset + 2 <= bytes.count else { return nil }
      let length = Int(bytes[offset]) | Int(bytes[offset + 1]) << 8
      offset += 2
      guard offset + length <= bytes.count else { return nil }
      values.append(
        String(
          decoding: UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + length]), as: UTF8.self
        ))
      offset += length
    }
    // An empty one at the end would be another encoding of the same tuple.
    guard offset == bytes.count,
      values.count == Dimension.always.count || values.last?.isEmpty == false
    else { return nil }
    self.init(
      site: values[0], campaign: values[1], content: values[2], variant: values[3],
      channel: values[4], currency: values[5],
      traffic: values.count > 6 ? values[6] : "")
  }

  /// Writes an encoded tuple as a JSON object of the dimensions that have a value.
  public static func write(encoded bytes: [UInt8], to json: inout JSONWriter) {
    let tuple = bytes.withUnsafeBytes { DimensionTuple(encoded: $0) }
    json.beginObject()
    for dimension in Dimension.allCases {
      guard let value = tuple?[dimension], !value.isEmpty else { continue }
      json.key(dimension.name)
      json.string(value)
    }
    json.endObject()
  }

  /// The tuple's identity in read models: 63 bits of the SipHash of its encoding.
  public static func identifier(encoded bytes: UnsafeRawBufferPointer) -> Int64 {
    Int64(bitPattern: SipHash128.hash(bytes).low & 0x7fff_ffff_ffff_ffff)
  }
}
