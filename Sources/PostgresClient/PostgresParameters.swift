import CLibPQ
import Glibc

/// The parameters of one statement, in Postgres's binary format, in one growing buffer.
///
/// Values are appended in the order `$1, $2, …`. Array parameters are for `unnest`: one statement
/// then carries thousands of rows, and a column is written straight from the caller's records by a
/// closure, without an array in between. The buffer is kept by `removeAll`, so a loop that reuses
/// its parameters allocates nothing. At most 65,535 parameters and 1 GiB (Postgres's own limits).
///
/// Array layout (`array_recv` in Postgres): dimensions, has-nulls, element oid, length, lower
/// bound, then length-prefixed elements; everything big-endian.
public struct PostgresParameters: ~Copyable {
  @usableFromInline var storage: UnsafeMutableRawPointer
  @usableFromInline var capacity: Int
  @usableFromInline var used = 0
  @usableFromInline var types: [UInt32] = []
  /// Start and length of each value in `storage`; length -1 is NULL.
  @usableFromInline var offsets: [Int] = []
  @usableFromInline var lengths: [Int32] = []

  public init(capacity: Int = 256) {
    self.capacity = max(64, capacity)
    storage = .allocate(byteCount: self.capacity, alignment: 8)
  }

  deinit { storage.deallocate() }

  /// Number of parameters so far.
  public var count: Int { types.count }
  /// Bytes of all values so far.
  public var byteCount: Int { used }

  /// Forgets the values, keeps the memory.
  public mutating func removeAll() {
    used = 0
    types.removeAll(keepingCapacity: true)
    offsets.removeAll(keepingCapacity: true)
    lengths.removeAll(keepingCapacity: true)
  }

  // MARK: single values

  public mutating func append(int8 value: Int64?) {
    open(.int8)
    guard let value else { return closeNull() }
    put(value)
    close()
  }

  public mutating func append(int4 value: Int32?) {
    open(.int4)
    guard let value else { return closeNull() }
    put(value)
    close()
  }

  public mutating func append(int2 value: Int16?) {
    open(.int2)
    guard let value else { return closeNull() }
    put(value)
    close()
  }

  public mutating func append(bool value: Bool?) {
    open(.bool)
    guard let value else { return closeNull() }
    put(UInt8(value ? 1 : 0))
    close()
  }

  /// The text must be free of U+0000, which Postgres can't store (it answers 22021).
  public mutating func append(text value: String?) {
    open(.text)
    guard var value else { return closeNull() }
    value.withUTF8 { put(bytes: UnsafeRawBufferPointer($0)) }
    close()
  }

  public mutating func append(bytea value: [UInt8]?) {
    open(.bytea)
    guard let value else { return closeNull() }
    value.withUnsafeBytes { put(bytes: $0) }
    close()
  }

  /// `value` in microseconds since the Unix epoch; `.min` is `-infinity`, `.max` `infinity`.
  public mutating func append(timestamptz value: Int64?) {
    open(.timestamptz)
    guard let value else { return closeNull() }
    put(postgresTimestamp(value))
    close()
  }

  // MARK: arrays

  public mutating func append(int8Array values: [Int64]) {
    append(int8Array: values) { $0 }
  }

  public mutating func append(int2Array values: [Int16]) {
    append(int2Array: values) { $0 }
  }

  public mutating func append(textArray values: [String]) {
    append(textArray: values) { $0 }
  }

  /// One `int8[]` with `value(record)` for each record.
  @inlinable
  public mutating func append<Records: Collection>(
    int8Array records: Records, _ value: (Records.Element) -> Int64
  ) {
    beginArray(.int8Array, of: .int8, count: records.count, elementSize: 8)
    for record in records {
      store(Int32(8))
      store(value(record))
    }
    close()
  }

  @inlinable
  public mutating func append<Records: Collection>(
    int4Array records: Records, _ value: (Records.Element) -> Int32
  ) {
    beginArray(.int4Array, of: .int4, count: records.count, elementSize: 4)
    for record in records {
      store(Int32(4))
      store(value(record))
    }
    close()
  }

  @inlinable
  public mutating func append<Records: Collection>(
    int2Array records: Records, _ value: (Records.Element) -> Int16
  ) {
    beginArray(.int2Array, of: .int2, count: records.count, elementSize: 2)
    for record in records {
      store(Int32(2))
      store(value(record))
    }
    close()
  }

  @inlinable
  public mutating func append<Records: Collection>(
    boolArray records: Records, _ value: (Records.Element) -> Bool
  ) {
    beginArray(.boolArray, of: .bool, count: records.count, elementSize: 1)
    for record in records {
      store(Int32(1))
      store(value(record) ? UInt8(1) : UInt8(0))
    }
    close()
  }

  /// Values in microseconds since the Unix epoch; `.min` is `-infinity`, `.max` `infinity`.
  @inlinable
  public mutating func append<Records: Collection>(
    timestamptzArray records: Records, _ value: (Records.Element) -> Int64
  ) {
    beginArray(.timestamptzArray, of: .timestamptz, count: records.count, elementSize: 8)
    for record in records {
      store(Int32(8))
      store(postgresTimestamp(value(record)))
    }
    close()
  }

  /// The texts must be free of U+0000.
  @inlinable
  public mutating func append<Records: Collection>(
    textArray records: Records, _ value: (Records.Element) -> String
  ) {
    beginArray(.textArray, of: .text, count: records.count, elementSize: 0)
    for record in records {
      var text = value(record)
      text.withUTF8 { putSized(UnsafeRawBufferPointer($0)) }
    }
    close()
  }

  @inlinable
  public mutating func append<Records: Collection>(
    byteaArray records: Records, _ value: (Records.Element) -> [UInt8]
  ) {
    beginArray(.byteaArray, of: .bytea, count: records.count, elementSize: 0)
    for record in records {
      value(record).withUnsafeBytes { putSized($0) }
    }
    close()
  }

  // MARK: writing

  @usableFromInline
  mutating func open(_ type: PostgresType) {
    types.append(type.oid)
    offsets.append(used)
  }

  @usableFromInline
  mutating func close() {
    // 1 GiB is Postgres's limit of a value; callers bound their batches far below it.
    precondition(used - offsets[offsets.count - 1] < 1 << 30, "parameter of 1 GiB or more")
    lengths.append(Int32(used - offsets[offsets.count - 1]))
  }

  private mutating func closeNull() { lengths.append(-1) }

  @usableFromInline
  mutating func beginArray(
    _ type: PostgresType, of element: PostgresType, count: Int, elementSize: Int
  ) {
    open(type)
    reserve(20 + count * (4 + elementSize))
    if count == 0 {
      store(Int32(0))
      store(Int32(0))
      store(element.oid)
      return
    }
    store(Int32(1))
    store(Int32(0))
    store(element.oid)
    store(Int32(count))
    store(Int32(1))
  }

  @usableFromInline
  mutating func reserve(_ more: Int) {
    if used + more <= capacity { return }
    let grown = max(capacity * 2, used + more)
    let larger = UnsafeMutableRawPointer.allocate(byteCount: grown, alignment: 8)
    larger.copyMemory(from: storage, byteCount: used)
    storage.deallocate()
    storage = larger
    capacity = grown
  }

  /// Writes into room that `reserve` has made.
  @inlinable
  mutating func store<Value: FixedWidthInteger>(_ value: Value) {
    storage.storeBytes(of: value.bigEndian, toByteOffset: used, as: Value.self)
    used += MemoryLayout<Value>.size
  }

  private mutating func put<Value: FixedWidthInteger>(_ value: Value) {
    reserve(MemoryLayout<Value>.size)
    store(value)
  }

  private mutating func put(bytes: UnsafeRawBufferPointer) {
    reserve(bytes.count)
    if let base = bytes.baseAddress {
      (storage + used).copyMemory(from: base, byteCount: bytes.count)
    }
    used += bytes.count
  }

  @usableFromInline
  mutating func putSized(_ bytes: UnsafeRawBufferPointer) {
    reserve(4 + bytes.count)
    store(Int32(bytes.count))
    put(bytes: bytes)
  }

  /// Calls `body` with the arrays that `PQsendQueryParams` wants.
  func withRawArrays<Result>(
    _ body: (
      _ count: Int32, _ types: UnsafePointer<UInt32>?,
      _ values: UnsafePointer<UnsafePointer<CChar>?>?, _ lengths: UnsafePointer<Int32>?,
      _ formats: UnsafePointer<Int32>?
    ) -> Result
  ) -> Result {
    let base = UnsafeRawPointer(storage).assumingMemoryBound(to: CChar.self)
    let values: [UnsafePointer<CChar>?] = offsets.indices.map {
      lengths[$0] < 0 ? nil : base + offsets[$0]
    }
    let formats = [Int32](repeating: 1, count: types.count)
    return body(Int32(types.count), types, values, lengths, formats)
  }
}
