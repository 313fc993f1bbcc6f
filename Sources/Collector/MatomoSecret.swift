import Events

/// Keeps `token_auth` out of dead letters: with it one may change what the sender's Matomo has.
enum MatomoSecret {
  static let field = "token_auth"

  /// A query or form without the field.
  static func removed(from form: [UInt8]) -> [UInt8] {
    let parts = form.split(separator: UInt8(ascii: "&"), omittingEmptySubsequences: false)
    let kept = parts.filter { part in
      !part.withUnsafeBytes { TextFields(form: $0) }.all.contains { name, _ in
        name == field || name == "?\(field)"
      }
    }
    return kept.count == parts.count ? form : Array(kept.joined(separator: [UInt8(ascii: "&")]))
  }

  /// A query as a JSON text, as it came or written anew without the field; of any other value what is before
  /// the field.
  static func removed(fromJSON json: UnsafeRawBufferPointer) -> [UInt8] {
    var scanner = JSONScanner(json)
    var query: [UInt8] = []
    do throws(JSONError) {
      try scanner.text().append(to: &query)
    } catch {
      return Array(cutOff(json))
    }
    let rest = removed(from: query)
    if rest.count == query.count { return Array(json) }
    var writer = JSONWriter(reserving: rest.count + 2)
    rest.withUnsafeBytes { writer.string(utf8: $0) }
    return writer.bytes
  }

  /// What cannot be read, up to where the field may be.
  static func cutOff(_ body: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    let kept = body.prefix(DeadLetter.bodyByteCountMax)
    let place = kept.indices.first { body[$0...].starts(with: field.utf8) }
    return UnsafeRawBufferPointer(rebasing: kept[..<(place ?? kept.endIndex)])
  }
}
