import HTTPServer

/// Looks single fields of a query or a form up by their names.
enum QueryField {
  /// The first field of this name that has a value, decoded.
  ///
  /// - Parameter name: as it is written in the query, without percent-encoding.
  /// - Returns: nil where there is none, or its percent-encoding is malformed.
  static func bytes(_ name: StaticString, in query: UnsafeRawBufferPointer) -> [UInt8]? {
    let wanted = UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
    var scanner = QueryScanner()
    while let field = scanner.next(in: query.bytes) {
      guard !field.value.isEmpty, query[field.name].elementsEqual(wanted) else { continue }
      if !field.valueIsEncoded { return Array(query[field.value]) }
      var decoded: [UInt8] = []
      decoded.reserveCapacity(field.value.count)
      let isWhole = PercentEncoding.decode(field.value, in: query.bytes, to: &decoded)
      return isWhole ? decoded : nil
    }
    return nil
  }

  /// As ``bytes(_:in:)``; nil too where it is not UTF-8.
  static func text(_ name: StaticString, in query: UnsafeRawBufferPointer) -> String? {
    bytes(name, in: query).flatMap { String(validating: $0, as: UTF8.self) }
  }
}
