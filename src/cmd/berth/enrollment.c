/* cmd/berth/enrollment.c: `berth enrollment`: individual enrollments, one device each. */
#include "cmd/berth/commands.h"
#include "cmd/berth/enrollment_body.h"
#include "cmd/berth/enrollment_keys.h"
#include "cmd/berth/resource.h"

static const struct view_column LIST[] = {
    { "ID", "registrationId" },
    { "STATUS", "provisioningStatus" },
    { "DEVICE", "deviceId" },
    { "PROOF", "attestation.type" },
    { "CERTIFICATE",
      "attestation.x509.caReferences.primary|attestation.x509.clientCertificates.primary.info."
      "subjectName" },
    { "HUBS", "iotHubs|iotHubHostName" },
    { "UPDATED", "lastUpdatedDateTimeUtc" },
    { NULL, NULL },
};

static const struct view_column SHOW[] = {
    { "id", "registrationId" },
    { "status", "provisioningStatus" },
    { "device ID", "deviceId" },
    { "proof", "attestation.type" },
    { "CA", "attestation.x509.caReferences.primary" },
    { "second CA", "attestation.x509.caReferences.secondary" },
    { "certificate", "attestation.x509.clientCertificates.primary.info.subjectName" },
    { "  SHA-1", "attestation.x509.clientCertificates.primary.info.sha1Thumbprint" },
    { "  SHA-256", "attestation.x509.clientCertificates.primary.info.sha256Thumbprint" },
    { "  expires", "attestation.x509.clientCertificates.primary.info.notAfterUtc" },
    { "second cert.", "attestation.x509.clientCertificates.secondary.info.subjectName" },
    { "  SHA-1", "attestation.x509.clientCertificates.secondary.info.sha1Thumbprint" },
    { "  SHA-256", "attestation.x509.clientCertificates.secondary.info.sha256Thumbprint" },
    { "primary key", "attestation.symmetricKey.primaryKey" },
    { "second key", "attestation.symmetricKey.secondaryKey" },
    { "endorsement key", "attestation.tpm.endorsementKey" },
    { "storage root key", "attestation.tpm.storageRootKey" },
    { "IoT Edge", "capabilities.iotEdge" },
    { "information", "optionalDeviceInformation" },
    { "allocation", "allocationPolicy" },
    { "webhook", "customAllocationDefinition.webhookUrl" },
    { "hubs", "iotHubs|iotHubHostName" },
    { "initial tags", "initialTwin.tags" },
    { "initial desired", "initialTwin.properties.desired" },
    { "registration", "registrationState.status" },
    { "  hub", "registrationState.assignedHub" },
    { "  device ID", "registrationState.deviceId" },
    { "created", "createdDateTimeUtc" },
    { "updated", "lastUpdatedDateTimeUtc" },
    { "etag", "etag" },
    { NULL, NULL },
};

static const struct resource ENROLLMENT = { .collection = "/enrollments",
                                            .option = "enrollment-id",
                                            .word = "enrollment",
                                            .plural = "enrollments",
                                            .list = LIST,
                                            .show = SHOW };

err berth_enrollment_create(struct cli *cli)
{
    struct http_request request = berth_resource_request(cli, &ENROLLMENT, "PUT");

    TRY(berth_enrollment_body_make(cli, ENROLLMENT_INDIVIDUAL, NULL, &request.body));
    return berth_resource_send(cli, &ENROLLMENT, &request);
}

err berth_enrollment_update(struct cli *cli)
{
    struct http_request request = { .method = NULL };
    json *stored = NULL;

    TRY(berth_resource_begin_update(cli, &ENROLLMENT, &request, &stored));
    TRY(berth_enrollment_keys_complete(cli, &ENROLLMENT, &stored));
    TRY(berth_enrollment_body_make(cli, ENROLLMENT_INDIVIDUAL, stored, &request.body));
    return berth_resource_send(cli, &ENROLLMENT, &request);
}

err berth_enrollment_list(struct cli *cli)
{
    return berth_resource_list_where(cli, &ENROLLMENT);
}

err berth_enrollment_show(struct cli *cli)
{
    return berth_enrollment_keys_show(cli, &ENROLLMENT);
}

err berth_enrollment_delete(struct cli *cli)
{
    return berth_resource_delete(cli, &ENROLLMENT);
}
