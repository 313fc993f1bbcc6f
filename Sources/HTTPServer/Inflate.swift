private import CZlib

/// Why a compressed body was refused.
public enum InflateError: Error, Hashable, Sendable {
  /// Not gzip or zlib data, or cut short.
  case malformed
  /// It would be longer than the caller's limit, in bytes.
  case tooLarge(maxBytes: Int)
  /// It grows more than the caller's ratio allows: a decompression bomb.
  case ratioTooHigh(maxRatio: Int)
}

extension InflateError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .malformed:
      "the body is not complete gzip data; send it whole or without Content-Encoding"
    case .tooLarge(let maxBytes):
      "the body is longer than \(maxBytes) bytes when inflated; send less at once"
    case .ratioTooHigh(let maxRatio):
      "the body grows more than \(maxRatio) times when inflated, which is refused"
    }
  }
}

/// The window that gzip data carries (15) and the flag for "gzip or zlib by its header" (32).
private let automaticWindowBits: Int32 = 15 + 32
/// Below this size no ratio is too high: short texts of one letter are harmless.
private let ratioFloorBytes = 64 * 1024

/// Inflates a gzip (RFC 1952, several members too) or zlib (RFC 1950) body.
///
/// Memory never exceeds `maxBytes` of output plus zlib's window (about 40 KB).
///
/// - Parameters:
///   - maxBytes: the longest output allowed.
///   - maxRatio: the most that output may exceed input, beyond the first 64 KiB of output.
public func inflate(
  _ input: UnsafeRawBufferPointer, maxBytes: Int, maxRatio: Int = 200
) throws(InflateError) -> [UInt8] {
  guard let start = input.baseAddress, input.count <= Int(UInt32.max) else {
    throw .malformed
  }
  var stream = z_stream()
  guard
    inflateInit2_(
      &stream, automaticWindowBits, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK
  else { throw .malformed }
  defer { inflateEnd(&stream) }
  // zlib does not write to its input; its C type only lacks the `const`.
  stream.next_in = UnsafeMutablePointer(mutating: start.assumingMemoryBound(to: UInt8.self))
  stream.avail_in = UInt32(input.count)
  let ratioLimit = max(ratioFloorBytes, input.count.multipliedReportingOverflow(by: maxRatio).0)
  let limit = min(maxBytes, ratioLimit)
  var output: [UInt8] = []
  // One byte more than allowed tells "exactly at the limit" from "over it".
  var capacity = min(limit + 1, max(1024, input.count * 6))
  while true {
    let before = output.count
    let room = capacity - before
    var status = Z_OK
    output.append(contentsOf: repeatElement(0, count: room))
    output.withUnsafeMutableBufferPointer { buffer in
      stream.next_out = buffer.baseAddress.map { $0 + before }
      stream.avail_out = UInt32(room)
      status = CZlib.inflate(&stream, Z_NO_FLUSH)
    }
    output.removeLast(Int(stream.avail_out))
    if output.count > limit {
      throw limit == maxBytes ? .tooLarge(maxBytes: maxBytes) : .ratioTooHigh(maxRatio: maxRatio)
    }
    switch status {
    case Z_STREAM_END:
      if stream.avail_in == 0 { return output }
      guard inflateReset(&stream) == Z_OK else { throw .malformed }
    case Z_OK:
      if stream.avail_in == 0 && stream.avail_out > 0 { throw .malformed }
    default:
      throw .malformed
    }
    if output.count == capacity { capacity = min(limit + 1, capacity * 2) }
  }
}
