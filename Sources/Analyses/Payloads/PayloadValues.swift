import Events

/// What a payload says of where its event came from: the values of the dimensions that are asked for, worked out of
/// its fields.
///
/// The source is `utm_source` (the campaign's where the protocol has one, else that of the page's address), else the
/// referrer's host; the medium is `utm_medium`, else `referral` where there is a referrer. A referrer of the page's
/// own host is none: that is somebody who was here already.
struct PayloadValues {
  private var reader: PayloadReader
  /// Whether it looks for anything but properties.
  private let needsReader: Bool
  /// Properties, each with a reader of its own: a place may be one of another property or field too.
  private var properties: [(name: String, reader: PayloadReader)] = []
  /// Texts without escapes, for those that have some.
  private var page: [UInt8] = []
  private var referrer: [UInt8] = []

  init(for question: BreakdownQuestion) {
    self.init(question.asked + question.tops, measures: question.measures)
  }

  /// - Parameter dimensions: of any part; those of others are passed over.
  init(_ dimensions: [BreakdownDimension], measures: BreakdownMeasures = []) {
    var fields: Set<PayloadField> = []
    var fallbacks: Set<PayloadField> = []
    for dimension in dimensions {
      switch dimension {
      case .country: fields.insert(.country)
      case .source:
        fields.insert(.source)
        fallbacks.formUnion([.page, .referrer])
      case .medium:
        fields.insert(.medium)
        fallbacks.formUnion([.page, .referrer])
      case .referrer: fields.formUnion([.page, .referrer])
      case .property(let name):
        guard !properties.contains(where: { $0.name == name }) else { continue }
        properties.append((name, PayloadReader(EventProperty(name: name))))
      default: break
      }
    }
    if measures.contains(.dwell) {
      fields.formUnion([.dwellMilliseconds, .dwellSeconds])
    }
    if measures.contains(.scroll) { fields.formUnion([.scrollPercent, .scrollShare]) }
    needsReader = !fields.isEmpty
    reader = PayloadReader(
      PayloadField.allCases.filter(fields.union(fallbacks).contains),
      fallbacks: fallbacks.subtracting(fields))
  }

  /// - Parameter kind: see ``PayloadReader/read(_:kind:)``.
  mutating func read(_ payload: UnsafeRawBufferPointer, kind: UInt8 = 0) {
    if needsReader { reader.read(payload, kind: kind) }
    for place in properties.indices { properties[place].reader.read(payload, kind: kind) }
  }

  /// Appends the value of a dimension in the payload that was read last, at most ``Dimension/bytesMax`` bytes.
  mutating func append(
    _ dimension: BreakdownDimension, of payload: UnsafeRawBufferPointer, to output: inout [UInt8]
  ) {
    let start = output.count
    switch dimension {
    case .country: append(.country, payload, &output)
    case .source: appendSource(payload, &output)
    case .medium: appendMedium(payload, &output)
    case .referrer: appendReferrer(payload, &output)
    case .property(let name):
      guard let place = properties.firstIndex(where: { $0.name == name }) else { break }
      Self.append(properties[place].reader.value(ofField: 0, in: payload), to: &output)
    default: break
    }
    cut(&output, from: start)
  }

  /// A value is cut between characters.
  private func cut(_ output: inout [UInt8], from start: Int) {
    var end = start + Dimension.bytesMax
    guard output.count > end else { return }
    while end > start, output[end] & 0xc0 == 0x80 { end -= 1 }
    output.removeSubrange(end...)
  }

  @discardableResult
  private func append(
    _ field: PayloadField, _ payload: UnsafeRawBufferPointer, _ output: inout [UInt8]
  ) -> Bool {
    Self.append(reader.value(field, in: payload), to: &output)
  }

  /// - Returns: false where there is no value.
  @discardableResult
  private static func append(
    _ value: (bytes: UnsafeRawBufferPointer, isEscaped: Bool)?, to output: inout [UInt8]
  ) -> Bool {
    guard let value else { return false }
    guard value.isEscaped else {
      output.append(contentsOf: value.bytes)
      return true
    }
    var json = JSONScanner(
      UnsafeRawBufferPointer(
        start: value.bytes.baseAddress.map { $0 - 1 }, count: value.bytes.count + 2))
    do throws(JSONError) {
      try json.text().append(to: &output)
      return true
    } catch {
      return false
    }
  }

  private mutating func appendSource(
    _ payload: UnsafeRawBufferPointer, _ output: inout [UInt8]
  ) {
    if append(.source, payload, &output) { return }
    if appendFieldOfPage("utm_source", payload, &output) { return }
    appendReferrer(payload, &output)
  }

  private mutating func appendMedium(
    _ payload: UnsafeRawBufferPointer, _ output: inout [UInt8]
  ) {
    if append(.medium, payload, &output) { return }
    if appendFieldOfPage("utm_medium", payload, &output) { return }
    let start = output.count
    appendReferrer(payload, &output)
    guard output.count > start else { return }
    output.removeSubrange(start...)
    output.append(contentsOf: "referral".utf8)
  }

  private mutating func appendFieldOfPage(
    _ name: StaticString, _ payload: UnsafeRawBufferPointer, _ output: inout [UInt8]
  ) -> Bool {
    page.removeAll(keepingCapacity: true)
    guard append(.page, payload, &page) else { return false }
    return page.withUnsafeBytes { page in
      guard let value = AddressText.field(name, of: page) else { return false }
      AddressText.appendDecoded(value, to: &output)
      return true
    }
  }

  /// Appends the host of the page before, in lower case; nothing where it is unknown or the page's own.
  private mutating func appendReferrer(
    _ payload: UnsafeRawBufferPointer, _ output: inout [UInt8]
  ) {
    referrer.removeAll(keepingCapacity: true)
    guard append(.referrer, payload, &referrer) else { return }
    page.removeAll(keepingCapacity: true)
    append(.page, payload, &page)
    referrer.withUnsafeBytes { referrer in
      guard let host = AddressText.host(referrer) else { return }
      let isOwn = page.withUnsafeBytes { page in
        AddressText.host(page).map { Self.isSameHost($0, host) } ?? false
      }
      if isOwn { return }
      for byte in host { output.append(Self.lowercased(byte)) }
    }
  }

  private static func lowercased(_ byte: UInt8) -> UInt8 {
    byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
  }

  private static func isSameHost(
    _ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer
  ) -> Bool {
    a.count == b.count && zip(a, b).allSatisfy { lowercased($0) == lowercased($1) }
  }

  // MARK: Numbers

  /// Seconds in view that the event reports.
  func dwell(_ payload: UnsafeRawBufferPointer) -> Double? {
    number(.dwellMilliseconds, payload).map { $0 / 1000 } ?? number(.dwellSeconds, payload)
  }

  /// Percent of the page that was seen.
  func scroll(_ payload: UnsafeRawBufferPointer) -> Double? {
    number(.scrollPercent, payload) ?? number(.scrollShare, payload).map { $0 * 100 }
  }

  /// A number, or a text that is one; not below zero.
  private func number(_ field: PayloadField, _ payload: UnsafeRawBufferPointer) -> Double? {
    guard let value = reader.value(field, in: payload), value.bytes.count <= 32,
      let number = Double(String(decoding: value.bytes, as: UTF8.self)), number.isFinite,
      number >= 0
    else { return nil }
    return number
  }
}
