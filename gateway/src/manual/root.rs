//! `GET /api/v2`: is there an API?

use orgplane_proto::common::v1::Response;

use crate::error::Answer;
use crate::reply;

pub(crate) async fn hello() -> Answer {
    reply::json(200, &Response { message: "This is the Orgplane API.".to_owned(), ..Response::default() })
}
