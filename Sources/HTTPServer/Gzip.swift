private import CZlib

/// The window of 32 KiB (15) and the flag for a gzip header (16).
private let gzipWindowBits: Int32 = 15 + 16
/// The most memory that zlib takes, 256 KiB, for the smallest output.
private let gzipMemoryLevel: Int32 = 9

/// Compresses as gzip (RFC 1952) as far as zlib can: for what is compressed once and sent often.
///
/// - Parameter input: at most 4 GiB.
public func gzip(_ input: [UInt8]) -> [UInt8] {
  precondition(input.count <= Int(UInt32.max) / 2, "what is compressed here is compressed whole")
  var stream = z_stream()
  let status = deflateInit2_(
    &stream, Z_BEST_COMPRESSION, Z_DEFLATED, gzipWindowBits, gzipMemoryLevel, Z_DEFAULT_STRATEGY,
    ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
  precondition(
    status == Z_OK, "zlib has its 256 KiB of memory and is of the version it was built with")
  defer { deflateEnd(&stream) }
  let room = Int(deflateBound(&stream, UInt(input.count)))
  return [UInt8](unsafeUninitializedCapacity: room) { output, count in
    input.withUnsafeBufferPointer { input in
      // zlib does not write to its input; its C type only lacks the `const`.
      stream.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
      stream.avail_in = UInt32(input.count)
      stream.next_out = output.baseAddress
      stream.avail_out = UInt32(room)
      let end = deflate(&stream, Z_FINISH)
      precondition(end == Z_STREAM_END, "the output has room for what zlib bounds it by")
    }
    count = room - Int(stream.avail_out)
  }
}
