import Events
import Ports
import PostgresViews

/// A dead letter as the log has it.
struct StoredLetter {
  var place: ResentLetters.Place
  var letter: DeadLetter
  /// The same for each copy of what was refused.
  var id: String
  var site: String
  var source: String
  var receivedAt: Int64

  /// Nothing of a frame that cannot be read: a letter about a letter cannot be sent.
  static func all(in frame: any StoredFrame) -> [StoredLetter] {
    do throws(FrameError) {
      let view = try FrameView(frame.bytes)
      guard view.header.kind == .deadLetters else { return [] }
      return (0..<view.count).compactMap { index in
        do throws(JSONError) {
          return StoredLetter(
            place: ResentLetters.Place(sequence: frame.sequence, index: Int32(index)),
            letter: try DeadLetter(payload: view.payload(index)), id: view.id(index),
            site: DimensionTuple(encoded: view.tupleBytes(view.tuple(index)))?.site ?? "",
            source: view.source(index), receivedAt: view.receivedAt(index))
        } catch {
          return nil
        }
      }
    } catch {
      return []
    }
  }

  // MARK: Names

  /// Its place in the log, such as `12.0`.
  var name: String { "\(place.sequence).\(place.index)" }

  func isNamed(_ text: String) -> Bool { text == name || text == id }

  var protocolName: String { String(source.prefix { $0 != "/" }) }

  /// What the source says of the write key.
  var keySource: String { String(source.drop { $0 != "/" }.dropFirst()) }

  // MARK: Frames

  /// Of a poison frame: the stream that it was in.
  var frameStream: String? {
    let words = letter.place.split(separator: " ")
    return words.count == 3 && words[1] == "frame" ? String(words[0]) : nil
  }

  var isReadableFrame: Bool {
    letter.body.withUnsafeBytes { bytes in
      do throws(FrameError) {
        _ = try FrameView(bytes)
        return letter.bodyByteCount == bytes.count
      } catch {
        return false
      }
    }
  }

  // MARK: For people and programs

  /// All of it: what is known of it, then the bytes, as text where they are some.
  var text: String {
    var lines = [
      "letter    \(name)", "id        \(id)", "received  \(Timestamp.format(receivedAt))",
      "site      \(site)", "source    \(source)", "place     \(letter.place)",
      "reason    \(letter.code)", "detail    \(letter.detail)",
    ]
    if let gate = letter.gate {
      lines.append("event     \(gate.event.kind.name) \(gate.event.id), refused at \(gate.gate)")
    }
    let isCut = letter.bodyByteCount > letter.body.count
    lines.append(
      "bytes     \(letter.bodyByteCount)" + (isCut ? ", of which these were kept" : ""))
    lines.append("")
    lines.append(Self.readable(letter.body) ?? HexLines.of(letter.body))
    return lines.joined(separator: "\n")
  }

  /// Nil where the bytes are no text, or hold characters that a terminal would obey.
  private static func readable(_ bytes: [UInt8]) -> String? {
    guard let text = String(validating: bytes, as: UTF8.self),
      text.unicodeScalars.allSatisfy({
        !($0.value < 0x20 || (0x7f...0x9f).contains($0.value)) || $0 == "\n" || $0 == "\t"
          || $0 == "\r"
      })
    else { return nil }
    return text
  }

  /// One line.
  func json(withBody: Bool) -> String {
    var json = JSONWriter()
    json.beginObject()
    let members = [
      ("letter", name), ("id", id), ("received_at", Timestamp.format(receivedAt)), ("site", site),
      ("source", source), ("place", letter.place), ("code", letter.code),
      ("detail", letter.detail), ("gate", letter.gate?.gate ?? ""),
      ("event_id", letter.gate?.event.id ?? ""),
    ]
    for (name, text) in members where !text.isEmpty {
      json.key(name)
      json.string(text)
    }
    json.key("bytes")
    json.integer(letter.bodyByteCount)
    if withBody {
      if let text = String(validating: letter.body, as: UTF8.self) {
        json.key("body")
        json.string(text)
      } else {
        json.key("body_hex")
        json.string(HexLines.digits(letter.body))
      }
    }
    json.endObject()
    return String(decoding: json.bytes, as: UTF8.self)
  }
}

/// Bytes as people read them: sixteen a line, with their offset and what of them is text.
private enum HexLines {
  static func of(_ bytes: [UInt8]) -> String {
    stride(from: 0, to: bytes.count, by: 16).map { start in
      let line = bytes[start..<min(start + 16, bytes.count)]
      let hex = line.map { digits([$0]) }.joined(separator: " ")
      let text = String(
        decoding: line.map { (0x20...0x7e).contains($0) ? $0 : 0x2e }, as: UTF8.self)
      let offset = String(start, radix: 16)
      return String(repeating: "0", count: max(0, 6 - offset.count)) + offset + "  " + hex
        + String(repeating: " ", count: 49 - hex.count) + text
    }.joined(separator: "\n")
  }

  static func digits(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
