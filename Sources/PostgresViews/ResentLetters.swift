public import Ports
public import PostgresClient

/// Which dead letters were sent again: table `smartcontent.resent_letters`.
///
/// The log never forgets a letter, and deduplication forgets ids after its horizon; this keeps a
/// letter that was accepted once from being sent a second time years later. Blocks its thread.
public final class ResentLetters {
  /// A letter's place in its stream.
  public struct Place: Hashable, Sendable {
    public var sequence: UInt64
    public var index: Int32

    public init(sequence: UInt64, index: Int32) {
      self.sequence = sequence
      self.index = index
    }
  }

  private let connection: PostgresConnection

  public init(_ settings: PostgresSettings) throws(ViewStoreError) {
    do throws(PostgresError) {
      connection = try PostgresConnection(settings)
      try connection.execute(
        """
        create schema if not exists smartcontent;
        create table if not exists smartcontent.resent_letters (
          stream text collate "C" not null,
          sequence bigint not null,
          index int not null,
          sent_at timestamptz not null default now(),
          primary key (stream, sequence, index));
        """)
    } catch {
      throw ViewStoreError(error)
    }
  }

  public func all(of stream: String) throws(ViewStoreError) -> Set<Place> {
    var parameters = PostgresParameters()
    parameters.append(text: stream)
    do throws(PostgresError) {
      let result = try connection.query(
        "select sequence, index from smartcontent.resent_letters where stream = $1", parameters)
      try result.require(.int8, .int4)
      return Set(
        (0..<result.rowCount).map {
          Place(sequence: UInt64(bitPattern: result.int8($0, 0)), index: result.int4($0, 1))
        })
    } catch {
      throw ViewStoreError(error)
    }
  }

  /// Notes a letter whose events are in the log.
  public func add(_ place: Place, of stream: String) throws(ViewStoreError) {
    var parameters = PostgresParameters()
    parameters.append(text: stream)
    parameters.append(int8: Int64(bitPattern: place.sequence))
    parameters.append(int4: place.index)
    do throws(PostgresError) {
      _ = try connection.query(
        """
        insert into smartcontent.resent_letters (stream, sequence, index) values ($1, $2, $3)
        on conflict do nothing
        """, parameters)
    } catch {
      throw ViewStoreError(error)
    }
  }
}
