import Dataflow
import Ports
import Views

/// A hot copy's header as one line of text, which scripts compare as a whole and people can read.
///
/// `pipeline=… epoch=3 sequence=1204 …`; times in microseconds since the epoch.
enum HotStamp {
  /// - Parameter pipeline: hash of the declaration that computed the copy.
  static func encode(_ header: HotHeader, pipeline: UInt64) -> String {
    var fields: [(String, String)] = [
      ("pipeline", "\(pipeline)"), ("epoch", "\(header.epoch)"),
      ("sequence", "\(header.sequence)"), ("last_delta", "\(header.lastDeltaSequence)"),
      ("committed", "\(header.committedSequence)"), ("copy", "\(header.copy)"),
      ("checksum", "\(header.fingerprint.checksum)"),
      ("stored_at", "\(header.fingerprint.storedAt)"), ("log_time", "\(header.logTime)"),
      ("watermark", "\(header.watermark)"),
    ]
    for level in WindowLevel.allCases {
      fields.append(("seam_\(level.name)", "\(header.seams[level])"))
    }
    fields.append(("sources", SourcePosition.text(header.sources)))
    return fields.map { "\($0)=\($1)" }.joined(separator: " ")
  }

  /// The header, complete, or nil where the text is no stamp or another declaration's.
  static func decode(_ text: String, pipeline: UInt64) -> HotHeader? {
    var fields: [Substring: Substring] = [:]
    // By bytes: characters would take several times as long, and each query reads a dozen stamps.
    for field in text.utf8.split(separator: UInt8(ascii: " ")) {
      guard let mark = field.firstIndex(of: UInt8(ascii: "=")) else { return nil }
      fields[Substring(field[..<mark])] = Substring(field[field.index(after: mark)...])
    }
    func number<Value: FixedWidthInteger>(_ name: Substring) -> Value? {
      fields[name].flatMap { Value($0) }
    }
    guard number("pipeline") == pipeline, let epoch: Int64 = number("epoch"),
      let sequence: UInt64 = number("sequence"), let lastDelta: UInt64 = number("last_delta"),
      let committed: UInt64 = number("committed"), let copy: Int64 = number("copy"),
      let checksum: UInt32 = number("checksum"), let storedAt: Int64 = number("stored_at"),
      let logTime: Int64 = number("log_time"), let watermark: Int64 = number("watermark"),
      let sources = fields["sources"].flatMap({ SourcePosition.parse($0) })
    else { return nil }
    var seams = Seams()
    for level in WindowLevel.allCases {
      guard let seam: Int64 = number("seam_\(level.name)") else { return nil }
      seams[level] = seam
    }
    return HotHeader(
      epoch: epoch, sequence: sequence, lastDeltaSequence: lastDelta, committedSequence: committed,
      copy: copy, isComplete: true, logTime: logTime, watermark: watermark, seams: seams,
      sources: sources,
      fingerprint: Checkpoint.Fingerprint(checksum: checksum, storedAt: storedAt))
  }
}
