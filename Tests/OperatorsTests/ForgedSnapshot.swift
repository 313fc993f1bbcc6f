import Events

/// Makes the checksum of a snapshot's only section hold, whatever its bytes are now.
func makeChecksumHold(_ bytes: inout [UInt8]) {
  let checksum = bytes.withUnsafeBytes { raw in
    CRC32C.checksum(
      UnsafeRawBufferPointer(rebasing: raw[40...]),
      seed: CRC32C.checksum(UnsafeRawBufferPointer(rebasing: raw[32..<36])))
  }
  withUnsafeBytes(of: checksum.littleEndian) {
    for (index, byte) in $0.enumerated() { bytes[36 + index] = byte }
  }
}
